package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

// The environment variables.
const (
	envAPIKey = "APIVIDEO_API_KEY"        //nolint:gosec // a name
	envSecret = "APIVIDEO_WEBHOOK_SECRET" //nolint:gosec // a name
)

// app has the streams, the environment and the flags of all commands.
type app struct {
	in     io.Reader
	out    *output
	errOut io.Writer
	env    func(string) string

	inTerminal bool // in is a terminal
	terminal   bool // out is a terminal
	started    bool // the command line was valid

	sandbox, production, plainHTTP, unknownEvents, verbose bool

	baseURL, format string
}

// execute runs a command line and returns the exit code.
func (a *app) execute(ctx context.Context, args []string) int {
	root := a.newRoot() //nolint:contextcheck // each command gets the context of cobra
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	cmd, err := root.ExecuteContextC(ctx)
	lost := a.out.err()
	switch {
	case lost != nil && (err == nil || !a.started):
		err = fmt.Errorf("%w: %w", errOutputLost, lost)
	case err != nil && !a.started:
		err = usageError{err}
	}
	code := exitCode(ctx, err)
	if err != nil && !errors.Is(err, errPending) {
		a.notef("Error: %s", oneLine(a.message(ctx, cmd, err)))
	}
	return code
}

func (a *app) newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "apivideo-webhooks",
		Short: "Manage, send, receive and fake the webhooks of api.video",
		Long: `apivideo-webhooks manages, sends, receives and fakes the webhooks of api.video.

The API key is in the environment variable APIVIDEO_API_KEY. Commands use the
sandbox by default and production with --production.

Exit codes: 0 success, 1 error, 2 plan has changes, 64 invalid command line or
environment, 129 terminal closed, 130 interrupted by Ctrl-C, 143 terminated by
SIGTERM.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&a.sandbox, "sandbox", false, "use the sandbox (the default)")
	flags.BoolVar(&a.production, "production", false, "use production")
	flags.StringVar(&a.baseURL, "base-url", "", "use another server, for example a fake at `URL`")
	flags.BoolVar(&a.plainHTTP, "plain-http", false, "allow http to another machine in --base-url")
	flags.BoolVar(&a.unknownEvents, "unknown-events", false, "allow events that this version does not know")
	flags.StringVarP(&a.format, "output", "o", "table", "print table or json")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log each request to stderr")
	root.MarkFlagsMutuallyExclusive("sandbox", "production", "base-url")
	root.AddCommand(
		a.newList(), a.newGet(), a.newCreate(), a.newEnsure(), a.newDelete(),
		a.newPlan(), a.newApply(),
		a.newSend(), a.newVerify(), a.newListen(), a.newReplay(), a.newFake(),
		a.newVersion(),
	)
	for _, cmd := range root.Commands() {
		a.checkFlagsBefore(cmd)
	}
	return root
}

// checkFlagsBefore makes a command check the global flags first. All errors before
// are errors of the command line.
func (a *app) checkFlagsBefore(cmd *cobra.Command) {
	runE := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if a.format != "table" && a.format != "json" {
			return fmt.Errorf("--output %q is unknown; use table or json", a.format)
		}
		a.started = true
		return runE(cmd, args)
	}
}

// environment is the name of the server that commands use.
func (a *app) environment() string {
	switch {
	case a.baseURL != "":
		return redactURL(a.baseURL)
	case a.production:
		return "production"
	}
	return "the sandbox"
}

// newClient returns a client of the environment.
func (a *app) newClient() (*facade.Client, error) {
	key := a.env(envAPIKey)
	if key == "" {
		return nil, usagef("%s is not set; export an API key of %s", envAPIKey, a.environment())
	}
	if u, err := url.Parse(a.baseURL); err == nil && strings.EqualFold(strings.TrimSuffix(u.Hostname(), "."), "ws.api.video") {
		return nil, usagef("--base-url is the server of production; use --production")
	}
	opts := []facade.Option{facade.WithApplication("apivideo-webhooks", applicationVersion())}
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
	switch {
	case err == nil:
		return client, nil
	case strings.Contains(err.Error(), "base URL"):
		return nil, usagef("--base-url: %w", err)
	}
	return nil, usagef("%s: %w", envAPIKey, err)
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
