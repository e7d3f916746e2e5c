package main

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
)

// newClient returns a client of the environment.
func (a *app) newClient() (*facade.Client, error) {
	key := a.env(envAPIKey)
	if key == "" {
		return nil, usagef("%s is not set; export an API key of %s", envAPIKey, a.environment())
	}
	if u, err := url.Parse(a.baseURL); err == nil && strings.EqualFold(strings.TrimSuffix(u.Hostname(), "."), "ws.api.video") {
		return nil, usagef("--base-url is the server of production; use --production")
	}
	opts := []facade.Option{facade.WithApplication("apivideo-webhooks", applicationVersion(readVersion().Version))}
	switch {
	case a.baseURL != "":
		opts = append(opts, facade.WithBaseURL(a.baseURL))
	case !a.production:
		opts = append(opts, facade.WithSandbox())
	}
	if a.plainHTTP {
		opts = append(opts, facade.WithPlainHTTP())
	}
	if a.unknownEvents {
		opts = append(opts, facade.WithUnknownEvents())
	}
	if a.verbose {
		handler := slog.NewTextHandler(a.errOut, &slog.HandlerOptions{Level: slog.LevelDebug})
		opts = append(opts, facade.WithLogger(slog.New(handler)))
	}
	client, err := facade.NewClient(key, opts...)
	if err == nil {
		return client, nil
	}
	if _, err := facade.NewClient(key); err != nil {
		return nil, usagef("%s: %w", envAPIKey, err)
	}
	if _, err := facade.NewClient(key, append(opts, facade.WithPlainHTTP())...); err == nil {
		return nil, usagef("--base-url %q is not encrypted; use https, or --plain-http in a private network", redactURL(a.baseURL))
	}
	return nil, usagef("--base-url: %w", err)
}

// newHTTPClient returns a client that sends notifications. Like the service it does
// not follow redirects.
func newHTTPClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     newTransport(),
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newTransport returns a transport that adds no header.
func newTransport() *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	return transport
}
