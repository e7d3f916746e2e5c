package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// maxResponse limits the printed part of a response.
const maxResponse = 64 << 10

// userAgent identifies this command to a receiver.
const userAgent = "apivideo-webhooks"

// deliverer sends notifications with the retries of the service.
type deliverer struct {
	to       string
	retries  int
	interval time.Duration
	timeout  time.Duration
}

func (d *deliverer) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&d.to, "to", "", "`URL` that receives the notification")
	flags.IntVar(&d.retries, "retries", 0, "`number` of retries after a failure; the service has 3")
	flags.DurationVar(&d.interval, "retry-interval", 3*time.Second, "`time` between two attempts")
	flags.DurationVar(&d.timeout, "timeout", 10*time.Second, "maximum `time` of an attempt")
	_ = cmd.MarkFlagRequired("to") // the flag exists
}

func (d *deliverer) check() error {
	switch {
	case !isHTTP(d.to):
		return usagef("--to %q is invalid; use an absolute http or https URL", redactURL(d.to))
	case d.retries < 0:
		return usagef("--retries must not be negative")
	case d.interval < 0 || d.timeout <= 0:
		return usagef("--timeout must be positive and --retry-interval must not be negative")
	}
	return nil
}

func isHTTP(raw string) bool {
	u, err := url.Parse(raw)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// attemptJSON is the output for an attempt.
type attemptJSON struct {
	ID         string  `json:"id"`
	Attempt    int     `json:"attempt"`
	Status     int     `json:"status"`
	DurationMS float64 `json:"durationMs"`
	Body       string  `json:"body"`
	Error      string  `json:"error,omitempty"`
}

func (t attemptJSON) ok() bool { return t.Status >= 200 && t.Status < 300 }

// deliver sends a notification until an attempt succeeds or no retry is left. It
// prints each attempt and reports whether the last one got a 2xx.
func (d *deliverer) deliver(ctx context.Context, a *app, id string, header http.Header, body []byte) (bool, error) {
	client := newHTTPClient(d.timeout)
	defer client.CloseIdleConnections()
	for n := 1; ; n++ {
		t := d.attempt(ctx, client, header, body)
		t.ID, t.Attempt = id, n
		if t.Status == 0 && ctx.Err() != nil {
			return false, errors.New("the delivery was interrupted")
		}
		a.printAttempt(t)
		if t.ok() || n > d.retries {
			return t.ok(), nil
		}
		select {
		case <-time.After(d.interval):
		case <-ctx.Done():
			return false, errors.New("the delivery was interrupted")
		}
	}
}

func (d *deliverer) attempt(ctx context.Context, client *http.Client, header http.Header, body []byte) (t attemptJSON) {
	start := time.Now()
	defer func() { t.DurationMS = milliseconds(time.Since(start)) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.to, bytes.NewReader(body))
	if err != nil {
		return attemptJSON{Error: err.Error()}
	}
	req.Header = header.Clone()
	if header.Get("User-Agent") == "" {
		req.Header["User-Agent"] = nil // no default
	}
	resp, err := client.Do(req)
	if err != nil {
		return attemptJSON{Error: err.Error()}
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	t = attemptJSON{Status: resp.StatusCode, Body: string(content)}
	if err != nil {
		t.Error = err.Error()
	}
	return t
}

func (a *app) printAttempt(t attemptJSON) {
	if a.jsonOutput() {
		a.printJSON(t)
		return
	}
	result := paintStatus(t.ok(), fmt.Sprintf("%d %s", t.Status, http.StatusText(t.Status)))
	if t.Status == 0 {
		result = paintStatus(false, oneLine(t.Error))
	}
	a.printf("%s attempt %d: %s in %.1f ms", clean(t.ID[:min(len(t.ID), shortID)]), t.Attempt, result, t.DurationMS)
	if text := oneLine(t.Body); text != "" {
		a.printf("  %s", text)
	}
	if t.Status != 0 && t.Error != "" {
		a.printf("  the response is incomplete: %s", oneLine(t.Error))
	}
}

// shortID is the printed length of a notification's ID.
const shortID = 12
