package facadetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/apivideo-community/webhooks-go/gen"
)

// An attribute is a member that a body must have.
type attribute struct {
	name  string
	fault func(json.RawMessage) string // what is wrong with it in one sentence, if anything
}

// attributes are those of each operation with a body, by the pattern of its route.
var attributes = map[string][]attribute{
	"POST /webhooks":     {{"url", faultOfURL}, {"events", faultOfEvents}},
	"POST /auth/api-key": {{"apiKey", faultOfString}},
	"POST /auth/refresh": {{"refreshToken", faultOfString}},
}

const (
	required    = "This attribute is required."
	notAString  = "This attribute must be a string."
	notAURL     = "This attribute must be an http or https URL."
	notAnArray  = "This attribute must be an array."
	notOfEvents = "This attribute must be an array of event names."
)

func faultOfString(value json.RawMessage) string {
	var s string
	switch err := json.Unmarshal(value, &s); {
	case err != nil:
		return notAString
	case s == "":
		return required
	}
	return ""
}

func faultOfURL(value json.RawMessage) string {
	if fault := faultOfString(value); fault != "" {
		return fault
	}
	var s string
	_ = json.Unmarshal(value, &s) // it is a string
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return notAURL
	}
	return ""
}

func faultOfEvents(value json.RawMessage) string {
	var items []any
	switch err := json.Unmarshal(value, &items); {
	case err != nil:
		return notAnArray
	case len(items) == 0:
		return required
	}
	for _, item := range items {
		if name, _ := item.(string); name == "" {
			return notOfEvents
		}
	}
	return ""
}

// checkPayload refuses a body before it is decoded, because a decoder tells of
// the first fault only and takes what is missing for empty. It passes on what it
// checked and no more, because a decoder takes URL for url.
func checkPayload(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wanted := attributes[r.Pattern]
		if wanted == nil {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		var members map[string]json.RawMessage
		if err != nil || len(body) > maxBody || json.Unmarshal(body, &members) != nil {
			writeError(w, errInvalidPayload)
			return
		}
		if problems := problemsOf(members, wanted); len(problems) > 0 {
			writeError(w, errInvalidAttributes(problems))
			return
		}
		checked := map[string]json.RawMessage{}
		for _, a := range wanted {
			checked[a.name] = members[a.name]
		}
		body, _ = json.Marshal(checked) // it was JSON before
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

func problemsOf(members map[string]json.RawMessage, wanted []attribute) []gen.ErrorProblem {
	var problems []gen.ErrorProblem
	for _, a := range wanted {
		title := required
		if value, ok := members[a.name]; ok {
			title = a.fault(value)
		}
		slug := "invalid-attribute"
		switch title {
		case "":
			continue
		case required:
			slug = "attribute-required"
		}
		problems = append(problems, gen.ErrorProblem{Type: errorBase + slug, Title: title, Name: a.name})
	}
	return problems
}
