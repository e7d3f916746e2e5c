package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// forwardedJSON is the output of listen for a request.
type forwardedJSON struct {
	Time       time.Time        `json:"time"`
	ID         string           `json:"id,omitempty"`
	WebhookID  string           `json:"webhookId,omitempty"`
	Type       facade.EventType `json:"type,omitempty"`
	EmittedAt  time.Time        `json:"emittedAt,omitzero"`
	Verified   bool             `json:"verified"`
	Status     int              `json:"status"`
	DurationMS float64          `json:"durationMs"`
	Error      string           `json:"error,omitempty"`
}

// forwarder verifies and records notifications, and sends them to a receiver.
type forwarder struct {
	app      *app
	verifier *notification.Verifier
	target   *url.URL  // or nil
	recorder *recorder // or nil
	timeout  time.Duration
	next     *http.Transport
}

func newForwarder(a *app, v *notification.Verifier, target *url.URL, rec *recorder, timeout time.Duration) *forwarder {
	return &forwarder{app: a, verifier: v, target: target, recorder: rec, timeout: timeout, next: newTransport()}
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	line := forwardedJSON{Time: time.Now().UTC()}
	n, err := f.verifier.VerifyRequest(r)
	if err != nil {
		line.Status, line.Error = notification.StatusCode(err), facadePrefix.ReplaceAllString(err.Error(), "")
		w.WriteHeader(line.Status)
		f.print(line)
		return
	}
	line.ID, line.WebhookID, line.Type, line.EmittedAt, line.Verified = n.ID(), n.WebhookID, n.Type, n.EmittedAt, true
	if err := f.record(line, r.Header, n.Raw); err != nil {
		line.Status, line.Error = http.StatusServiceUnavailable, "the recording failed: "+err.Error()
		w.WriteHeader(line.Status)
		f.print(line)
		return
	}
	var truncated bool
	if f.target == nil {
		line.Status = http.StatusAccepted
		w.WriteHeader(line.Status)
	} else {
		truncated = f.forward(w, r, n.Raw, &line)
	}
	line.DurationMS = milliseconds(time.Since(line.Time))
	f.print(line)
	if truncated {
		panic(http.ErrAbortHandler) // the service must not see a complete response
	}
}

func (f *forwarder) record(line forwardedJSON, header http.Header, body []byte) error {
	if f.recorder == nil {
		return nil
	}
	rec := record{ReceivedAt: line.Time, ID: line.ID, WebhookID: line.WebhookID, Type: line.Type, Header: header.Clone()}
	for _, name := range []string{"Connection", "Content-Length", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		rec.Header.Del(name) // a header of the connection
	}
	rec.setBody(body)
	return f.recorder.add(rec)
}

// forward sends the exact bytes and headers to the receiver and its response back.
// The status and the error go to line. The result reports a truncated response.
func (f *forwarder) forward(w http.ResponseWriter, r *http.Request, body []byte, line *forwardedJSON) (truncated bool) {
	ctx, cancel := context.WithTimeout(r.Context(), f.timeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	proxy := &httputil.ReverseProxy{
		Transport: f.next,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL, p.Out.Host = f.target, ""
			if user := f.target.User; user != nil && p.Out.Header.Get("Authorization") == "" {
				password, _ := user.Password()
				p.Out.SetBasicAuth(user.Username(), password)
			}
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if values, ok := p.In.Header[name]; ok { // ReverseProxy removes the header
					p.Out.Header[name] = values
				}
			}
		},
		ModifyResponse: func(resp *http.Response) error {
			line.Status = resp.StatusCode
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			line.Status, line.Error = http.StatusBadGateway, err.Error()
			if errors.Is(err, context.DeadlineExceeded) {
				line.Status, line.Error = http.StatusGatewayTimeout, "the receiver did not respond within "+f.timeout.String()
			}
			w.WriteHeader(line.Status)
		},
	}
	defer func() {
		p := recover()
		if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			line.Error, truncated = "the response of the receiver is truncated", true
		} else if p != nil {
			panic(p)
		}
	}()
	proxy.ServeHTTP(w, r)
	return false
}

func (f *forwarder) print(line forwardedJSON) {
	if f.app.out.isStalled() {
		return
	}
	if f.app.jsonOutput() {
		f.app.printJSON(line)
		return
	}
	ok := line.Status >= 200 && line.Status < 300
	text := line.Time.Local().Format(time.TimeOnly) + " " + paintStatus(ok, strconv.Itoa(line.Status))
	if line.Verified {
		text += " " + line.ID[:min(len(line.ID), shortID)] + " " + clean(string(line.Type))
	}
	if line.Error != "" {
		text += " " + oneLine(line.Error)
	}
	f.app.printf("%s", text)
}
