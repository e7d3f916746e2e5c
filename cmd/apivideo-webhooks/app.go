package main

import "io"

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
