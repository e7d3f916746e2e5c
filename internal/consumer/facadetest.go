package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// misbehave meets what a server can do to a client, and looks at what arrived.
func misbehave(ctx context.Context) error {
	server, front := behindProxy(facadetest.WithRateLimit(100, 40))
	defer server.Close()
	defer front.Close()
	client := server.Client(facade.WithBaseURL(front.URL), facade.WithRetry(facade.RetryPolicy{MaxAttempts: 1}))

	list := func(fault facadetest.Fault) error {
		server.Inject(fault)
		_, err := client.ListWebhooks(ctx, facade.ListOptions{})
		return err
	}
	for _, fault := range []facadetest.Fault{
		{Body: "<html>", Header: map[string]string{"X-Proxy": "1"}},
		{Cut: true},
		{Endless: true},
	} {
		if err := list(fault); !errors.Is(err, facade.ErrUnexpectedResponse) {
			return unexpected(false, fault, err)
		}
	}
	// Each on a new connection: what fails on an old one net/http repeats itself.
	for _, reset := range []facadetest.Reset{facadetest.ResetAfterRead, facadetest.ResetBeforeRead, facadetest.NoReset} {
		err := list(facadetest.Fault{Reset: reset, Handled: true, Times: 1, Delay: time.Millisecond})
		if err := unexpected((err == nil) == (reset == facadetest.NoReset), reset, err); err != nil {
			return err
		}
	}
	err := list(facadetest.Fault{Status: http.StatusTeapot, Match: func(r *http.Request) bool { return r.Method == http.MethodGet }})
	if err := unexpected(err != nil, err); err != nil {
		return err
	}

	ignored := func(r facadetest.Request) bool { return r.Status == 0 }
	for _, r := range server.Requests() {
		if err := unexpected(r.Method == http.MethodGet && r.Path == "/webhooks" && len(r.Query) == 0 && r.Header.Get("Authorization") != "" && len(r.Body) == 0, r); err != nil {
			return err
		}
	}
	return unexpected(slices.ContainsFunc(server.Requests(), ignored), server.Requests())
}

// behindProxy serves a server's answers at another url too.
func behindProxy(options ...facadetest.Option) (*facadetest.Server, *httptest.Server) {
	server := facadetest.NewServer(options...)
	return server, httptest.NewServer(http.HandlerFunc(server.ServeHTTP))
}
