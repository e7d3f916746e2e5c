// Command deploy makes an account's webhooks those that a file describes:
//
//	deploy [-apply] [-production] [-secrets file] webhooks.json
//
// It prints what it would do, and does it with -apply. It exits with 0 if there is
// nothing to do or all was done, with 2 if there is something to do and -apply
// isn't given, and with 1 on any error. (go run makes 1 of every other status, so
// build it for scripts.)
//
// The file lists the webhooks. Those of other urls are left alone, unless the url
// begins with what "owns" says, if it says anything. End that with a slash:
// https://example.com/shop also claims https://example.com/shopping.
//
// With APIVIDEO_API_KEY set it works on api.video's sandbox, or on production with
// -production; without a key on a server in its own memory that holds a few
// webhooks already.
//
// The signature secrets of new webhooks are never printed. With -secrets they are
// appended to a file that only its owner can read, each after its webhook's id. One
// that the service leaves out is an error, though the webhook is there. The service
// also gives secrets later; see GetWebhook.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// The exit statuses.
const (
	exitDone    = 0
	exitError   = 1
	exitPending = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Getenv("APIVIDEO_API_KEY"), os.Stdout, os.Stderr))
}

// settings are what the command line says.
type settings struct {
	apply, production bool
	secrets, file     string
}

// run is main without its process. The options are for the client of api.video.
func run(ctx context.Context, args []string, apiKey string, out, errOut io.Writer, opts ...facade.Option) int {
	var s settings
	flags := flag.NewFlagSet("deploy", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.BoolVar(&s.apply, "apply", false, "do what is printed")
	flags.BoolVar(&s.production, "production", false, "work on production rather than on the sandbox")
	flags.StringVar(&s.secrets, "secrets", "", "append the ids and signature secrets of new webhooks to this `file`")
	flags.Usage = func() {
		fmt.Fprintln(errOut, "usage: deploy [-apply] [-production] [-secrets file] webhooks.json")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return exitDone
	} else if err != nil {
		return exitError
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return exitError
	}
	if s.secrets != "" && !s.apply {
		fmt.Fprintln(errOut, "deploy: -secrets needs -apply: a dry run creates nothing")
		return exitError
	}
	s.file = flags.Arg(0)
	code, err := start(ctx, s, apiKey, out, opts)
	if err != nil {
		fmt.Fprintln(errOut, "deploy:", err)
	}
	return code
}

// start reads the file and chooses the account to work on.
func start(ctx context.Context, s settings, apiKey string, out io.Writer, opts []facade.Option) (int, error) {
	want, err := read(s.file)
	if err != nil {
		return exitError, err
	}
	if apiKey == "" {
		if s.production {
			return exitError, errors.New("-production needs a key: APIVIDEO_API_KEY is not set")
		}
		server := facadetest.NewServer()
		defer server.Close()
		fmt.Fprintln(out, "APIVIDEO_API_KEY is not set: using a server in memory")
		client := server.Client()
		if err := fill(ctx, client); err != nil {
			return exitError, err
		}
		return deploy(ctx, client, want, s, out)
	}
	opts = append([]facade.Option{facade.WithApplication("deploy", "1")}, opts...)
	if s.production {
		fmt.Fprintln(out, "Using production")
	} else {
		fmt.Fprintln(out, "Using the sandbox")
		opts = append(opts, facade.WithSandbox())
	}
	client, err := facade.NewClient(apiKey, opts...)
	if err != nil {
		return exitError, err
	}
	return deploy(ctx, client, want, s, out)
}

// fill makes the webhooks that the server in memory begins with: one that the
// file beside this one wants, one whose events have changed since, one that is no
// longer wanted and somebody else's.
func fill(ctx context.Context, client *facade.Client) error {
	for _, p := range []facade.CreateWebhookParams{
		{URL: "https://hooks.example.com/shop/encoded", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted}},
		{URL: "https://hooks.example.com/shop/live", Events: []facade.EventType{facade.EventLiveStreamBroadcastStarted}},
		{URL: "https://hooks.example.com/shop/captions", Events: []facade.EventType{facade.EventVideoCaptionGenerated}},
		{URL: "https://hooks.example.com/blog", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted}},
	} {
		if _, err := client.CreateWebhook(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// desired is what a file holds.
type desired struct {
	Owns     string    `json:"owns"`
	Webhooks []webhook `json:"webhooks"`
}

type webhook struct {
	URL    string             `json:"url"`
	Events []facade.EventType `json:"events"`
}

// read reads a file. A key that it doesn't know is an error, lest a typing error
// delete something; a key that stands there twice goes unnoticed.
func read(name string) (desired, error) {
	var d desired
	data, err := os.ReadFile(name) //nolint:gosec // the user says which file
	if err != nil {
		return d, err
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); errors.Is(err, io.EOF) {
		return d, fmt.Errorf("%s: the file is empty", name)
	} else if err != nil {
		return d, fmt.Errorf("%s%s: %w", name, line(data, err), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return d, fmt.Errorf("%s: there is something after the end of the object", name)
	}
	if d.Webhooks == nil {
		return d, fmt.Errorf(`%s: there is no "webhooks"; to want none, say "webhooks": []`, name)
	}
	return d, nil
}

// line returns a colon and where in data it went wrong, as far as the error tells.
func line(data []byte, err error) string {
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	var offset int64
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &wrongType):
		offset = wrongType.Offset
	default:
		return ""
	}
	return fmt.Sprintf(":%d", 1+strings.Count(string(data[:offset]), "\n"))
}

// deploy prints the plan and, if it is to, applies it.
func deploy(ctx context.Context, client *facade.Client, want desired, s settings, out io.Writer) (int, error) {
	var params []facade.CreateWebhookParams
	for _, wh := range want.Webhooks {
		params = append(params, facade.CreateWebhookParams(wh))
	}
	var opts facade.PlanOptions
	if want.Owns != "" {
		opts.Owns = func(wh *facade.Webhook) bool { return strings.HasPrefix(wh.URL, want.Owns) }
	}
	plan, err := client.PlanWebhooks(ctx, params, opts)
	if errors.Is(err, facade.ErrInvalidArgument) {
		return exitError, fmt.Errorf("%s: %w", s.file, err)
	} else if err != nil {
		return exitError, err
	}
	if _, err := fmt.Fprint(out, plan); err != nil { // what nobody can read isn't done either
		return exitError, err
	}
	switch {
	case plan.Empty():
		return exitDone, nil
	case !s.apply:
		fmt.Fprintln(out, "Nothing is changed without -apply")
		return exitPending, nil
	}

	var secrets *os.File
	if s.secrets != "" {
		// Before anything is created, lest there be nowhere to put a secret.
		if secrets, err = openPrivate(s.secrets); err != nil {
			return exitError, err
		}
	}
	done, err := client.ApplyPlan(ctx, plan)
	if secrets != nil {
		for _, wh := range done.Created {
			if wh.SignatureSecret.IsZero() {
				err = errors.Join(err, fmt.Errorf("the service leaves out the signature secret of %q", wh.ID))
				continue
			}
			_, writeErr := fmt.Fprintln(secrets, wh.ID, wh.SignatureSecret.Reveal())
			err = errors.Join(err, writeErr)
		}
		err = errors.Join(err, secrets.Close())
	}
	fmt.Fprintf(out, "Created %d, deleted %d\n", len(done.Created), len(done.Deleted))
	if done.DeletedEarly > 0 {
		fmt.Fprintf(out, "The account is at its limit: %d had to be deleted before all were created\n", done.DeletedEarly)
	}
	if err != nil {
		if !done.Remaining.Empty() {
			fmt.Fprintf(out, "Left to do:\n%s", done.Remaining)
		}
		return exitError, err
	}
	return exitDone, nil
}

// openPrivate opens a file to append to, which its owner alone can read. A device
// or a pipe stays as it is.
func openPrivate(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the user says which file
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = f.Chmod(0o600) // it may have been there
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
