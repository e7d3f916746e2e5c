package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/fatih/color"

	"github.com/apivideo-community/webhooks-go/facade"
)

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

// paintStatus colors a text: green for a success, red otherwise.
func paintStatus(ok bool, text string) string {
	if ok {
		return color.GreenString("%s", text)
	}
	return color.RedString("%s", text)
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
