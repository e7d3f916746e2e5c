package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/apivideo-community/webhooks-go/facade/facadetest"
)

// TestScripts runs testdata/script. Each script has a fake server at $FAKE and the
// commands of this file beside those of testscript.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			server := facadetest.NewServer(facadetest.WithAPIKey("key-of-the-fake"), facadetest.WithDeliveryRetries(3, 10*time.Millisecond))
			env.Defer(server.Close)
			front := httptest.NewServer(newFakeHandler(server, false))
			env.Defer(front.Close)
			env.Setenv("GORACE", raceOptions)
			env.Setenv("FAKE", front.URL)
			env.Setenv("APIVIDEO_API_KEY", server.APIKey)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(env.WorkDir, "config"))
			env.Values[processesKey{}] = map[string]*process{}
			env.Values[contextKey{}] = t.Context()
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exit":     exitCommand,
			"jq":       jqCommand,
			"receiver": receiverCommand,
			"start":    startCommand,
			"end":      endCommand,
		},
	})
}

// exitCommand runs "exit CODE PROGRAM ARGS..." and checks the exit code. stdout and
// stderr go to the files out and err.
func exitCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE PROGRAM ARGS...")
	}
	cmd := newScriptCommand(ts, args[1:])
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	ts.Check(os.WriteFile(ts.MkAbs("out"), out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err"), errOut.Bytes(), 0o600))
	if code := cmd.ProcessState.ExitCode(); strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d (%v) instead of %s\n%s%s", code, err, args[0], &out, &errOut)
	}
}

type contextKey struct{}

// newScriptCommand returns a process in the folder of the script.
func newScriptCommand(ts *testscript.TestScript, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ts.Value(contextKey{}).(context.Context), args[0], args[1:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	return cmd
}

// environ returns the variables that a process of the tool needs.
func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "APIVIDEO_API_KEY", "APIVIDEO_WEBHOOK_SECRET", "XDG_CONFIG_HOME", "NO_COLOR", "TERM", "GORACE"} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// jqCommand runs "jq FILE FIELD NAME". It sets the variable NAME to a field of the
// JSON object in the file.
func jqCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: jq FILE FIELD NAME")
	}
	var fields map[string]any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &fields))
	value, ok := fields[args[1]]
	if !ok {
		ts.Fatalf("%s has no field %s", args[0], args[1])
	}
	ts.Setenv(args[2], fmt.Sprint(value))
}

// receiverCommand runs "receiver STATUS...". The receiver at $RECEIVER responds with
// one status after the other and then with the last one. The status "hang" is a
// response that does not come. Request N is in the files N.body and N.header.
func receiverCommand(ts *testscript.TestScript, neg bool, statuses []string) {
	if neg || len(statuses) == 0 {
		ts.Fatalf("usage: receiver STATUS...")
	}
	var mu sync.Mutex
	var count int
	folder := ts.MkAbs(".")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var header bytes.Buffer
		_ = r.Header.Write(&header)
		mu.Lock()
		status := statuses[min(count, len(statuses)-1)]
		count++
		n := strconv.Itoa(count)
		_ = os.WriteFile(filepath.Join(folder, n+".body"), body, 0o600)
		_ = os.WriteFile(filepath.Join(folder, n+".header"), header.Bytes(), 0o600)
		mu.Unlock()
		if status == "hang" {
			<-r.Context().Done()
			return
		}
		code, _ := strconv.Atoi(status)
		w.Header().Set("Location", "/") // of a redirect
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, "response %s\n", n)
	}))
	ts.Defer(server.Close)
	ts.Setenv("RECEIVER", server.URL)
}

type processesKey struct{}

// startCommand runs "start NAME PROGRAM ARGS..." in the background and waits for the
// URL that it serves on, which is $NAME then. Its output is in NAME.out and NAME.err.
func startCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: start NAME PROGRAM ARGS...")
	}
	cmd := newScriptCommand(ts, args[1:])
	p, err := startProcess(cmd)
	ts.Check(err)
	ts.Defer(p.kill)
	url, err := p.url()
	ts.Check(err)
	ts.Setenv(args[0], url)
	ts.Value(processesKey{}).(map[string]*process)[args[0]] = p
}

// endCommand runs "end NAME SIGNAL CODE". It sends the signal and checks the exit
// code.
func endCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: end NAME SIGNAL CODE")
	}
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	p := ts.Value(processesKey{}).(map[string]*process)[args[0]]
	ts.Check(p.cmd.Process.Signal(signals[args[1]]))
	code := p.wait()
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(p.out.String()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".err"), []byte(p.errOut.String()), 0o600))
	if strconv.Itoa(code) != args[2] {
		ts.Fatalf("exit code %d instead of %s\n%s%s", code, args[2], p.out, p.errOut)
	}
}
