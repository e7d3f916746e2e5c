package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/fatih/color"

	"github.com/apivideo-community/webhooks-go/facade"
)

// output is stdout. It keeps the first error, so that a command fails if its output
// is lost. Handlers of requests in flight may write after the end of a command.
type output struct {
	w io.Writer

	mu    sync.Mutex
	first error
}

// err returns the first error.
func (o *output) err() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.first
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.first != nil {
		return 0, o.first
	}
	n, err := o.w.Write(p)
	o.first = err
	return n, err
}

// printf writes a line to stdout.
func (a *app) printf(format string, args ...any) {
	_, _ = fmt.Fprintf(a.out, format+"\n", args...) // output keeps the error
}

// notef writes a line to stderr.
func (a *app) notef(format string, args ...any) {
	_, _ = fmt.Fprintf(a.errOut, format+"\n", args...) // there is no other place for the error
}

func (a *app) jsonOutput() bool { return a.format == "json" }

// printJSON writes a value on one line.
func (a *app) printJSON(v any) {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // output keeps the error
}

// table writes rows with aligned columns to a terminal. Otherwise it writes tabs
// between the columns and no header.
func (a *app) table(header []string, rows [][]string) {
	if !a.terminal {
		for _, row := range rows {
			a.printf("%s", strings.Join(row, "\t"))
		}
		return
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	if header != nil {
		rows = append([][]string{header}, rows...)
	}
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush() // output keeps the error
}

// webhookJSON is the output for a webhook. The secret is set if it was asked for.
type webhookJSON struct {
	ID        string             `json:"webhookId"`
	URL       string             `json:"url"`
	Events    []facade.EventType `json:"events"`
	CreatedAt time.Time          `json:"createdAt,omitzero"`
	Secret    string             `json:"signatureSecret,omitempty"`
	Created   *bool              `json:"created,omitempty"`
}

func newWebhookJSON(wh *facade.Webhook) webhookJSON {
	return webhookJSON{ID: wh.ID, URL: redactURL(wh.URL), Events: wh.Events, CreatedAt: wh.CreatedAt}
}

func newWebhooksJSON(webhooks []*facade.Webhook) []webhookJSON {
	all := make([]webhookJSON, 0, len(webhooks))
	for _, wh := range webhooks {
		all = append(all, newWebhookJSON(wh))
	}
	return all
}

// printWebhook writes one webhook.
func (a *app) printWebhook(wh webhookJSON) {
	if a.jsonOutput() {
		a.printJSON(wh)
		return
	}
	rows := [][]string{
		{"ID", clean(wh.ID)},
		{"URL", clean(wh.URL)},
		{"EVENTS", joinEvents(wh.Events)},
		{"CREATED", formatTime(wh.CreatedAt)},
	}
	if wh.Secret != "" {
		rows = append(rows, []string{"SECRET", clean(wh.Secret)})
	}
	a.table(nil, rows)
}

func joinEvents(events []facade.EventType) string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = clean(string(e))
	}
	return strings.Join(names, ",")
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

// redactURL removes the password of a URL, which may be malformed.
func redactURL(raw string) string {
	u, err := url.Parse(raw)
	if err == nil && u.User != nil {
		return u.Redacted()
	}
	if i := strings.LastIndexByte(raw, '@'); i >= 0 && (err != nil || u.Opaque != "" || u.Host == "") {
		return "…" + raw[i:]
	}
	return raw
}

// clean replaces control characters, which could change the terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// paintStatus colors a text: green for a success, red otherwise.
func paintStatus(ok bool, text string) string {
	if ok {
		return color.GreenString("%s", text)
	}
	return color.RedString("%s", text)
}

// milliseconds rounds a duration to microseconds.
func milliseconds(d time.Duration) float64 {
	return float64(d.Microseconds()) / 1000
}
