package facade

import (
	"fmt"
	"slices"

	"github.com/apivideo-community/webhooks-go/facade/internal/redact"
)

// A subscription identifies equal webhooks by the URL, byte for byte, and the set of
// events.
type subscription struct{ url, events string }

func newSubscription(url string, events []EventType) subscription {
	events = slices.Clone(events)
	slices.Sort(events)
	return subscription{url, fmt.Sprintf("%q", slices.Compact(events))}
}

// describe returns a webhook as one line of text, without a password in the URL.
func describe(rawURL string, events []EventType) string {
	return redact.OneLine(fmt.Sprintf("%s %v", redactPassword(rawURL), events))
}
