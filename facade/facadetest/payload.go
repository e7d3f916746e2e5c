package facadetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/apivideo-community/webhooks-go/gen"
)

// An attribute is a required field of a body.
type attribute struct {
	name  string
	check func(json.RawMessage) string // returns the problem in one sentence, or ""
}

const (
	notAString    = "This attribute must be a string."
	notAURL       = "This attribute must be an http or https URL."
	notAnArray    = "This attribute must be an array."
	notEventNames = "This attribute must be an array of event names."
	unknownEvent  = "This attribute must be an array of known event names, and %q is unknown."
)

// requiredAttributes returns the attributes of each operation with a body. The keys are
// the patterns of the routes.
func requiredAttributes(c config) map[string][]attribute {
	return map[string][]attribute{
		"POST /webhooks":     {{"url", checkURL}, {"events", c.checkEvents}},
		"POST /auth/api-key": {{"apiKey", checkString}},
		"POST /auth/refresh": {{"refreshToken", checkString}},
	}
}

func checkString(value json.RawMessage) string {
	var s string
	switch err := json.Unmarshal(value, &s); {
	case err != nil:
		return notAString
	case s == "":
		return titleRequired
	}
	return ""
}

func checkURL(value json.RawMessage) string {
	if problem := checkString(value); problem != "" {
		return problem
	}
	var s string
	_ = json.Unmarshal(value, &s) // checked above
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return notAURL
	}
	return ""
}

func (c config) checkEvents(value json.RawMessage) string {
	var items []any
	switch err := json.Unmarshal(value, &items); {
	case err != nil:
		return notAnArray
	case len(items) == 0:
		return titleRequired
	}
	for _, item := range items {
		name, _ := item.(string)
		switch {
		case name == "":
			return notEventNames
		case !c.accepts(gen.EventType(name)):
			return fmt.Sprintf(unknownEvent, name)
		}
	}
	return ""
}

// checkPayload rejects an invalid body before decoding. A decoder reports only the
// first problem and reads a missing field as empty. A decoder also reads URL as
// url, so checkPayload forwards the checked fields only.
func checkPayload(attributes map[string][]attribute) gen.MiddlewareFunc {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			required := attributes[r.Pattern]
			if required == nil {
				next.ServeHTTP(w, r)
				return
			}
			body, err := io.ReadAll(r.Body)
			var fields map[string]json.RawMessage
			if err != nil || len(body) > maxBody || json.Unmarshal(body, &fields) != nil {
				writeError(w, errInvalidPayload)
				return
			}
			if problems := findProblems(fields, required); len(problems) > 0 {
				writeError(w, errInvalidAttributes(problems))
				return
			}
			checked := map[string]json.RawMessage{}
			for _, a := range required {
				checked[a.name] = fields[a.name]
			}
			body, _ = json.Marshal(checked) // decoded from JSON above
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(w, r)
		})
	}
}

func findProblems(fields map[string]json.RawMessage, required []attribute) []gen.ErrorProblem {
	var problems []gen.ErrorProblem
	for _, a := range required {
		title := titleRequired
		if value, ok := fields[a.name]; ok {
			title = a.check(value)
		}
		slug := "invalid-attribute"
		switch title {
		case "":
			continue
		case titleRequired:
			slug = "attribute-required"
		}
		problems = append(problems, gen.ErrorProblem{Type: errorBase + slug, Title: title, Name: a.name})
	}
	return problems
}
