package main

import (
	"bytes"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the output of the examples to docs/cli.md")

const cliPage = "../../docs/cli.md"

var (
	consoleBlock = regexp.MustCompile("(?ms)^```console\n(.*?)^```$")
	exportLine   = regexp.MustCompile(`(\w+)=(\S*)`)
)

// volatile are the parts of an output that differ in each run. An ID in a later
// command is replaced by the one of this run.
var volatile = regexp.MustCompile(strings.Join([]string{
	`webhook_[0-9A-Za-z]{22}`,
	`sig_sec_[0-9A-Za-z]{22}`,
	`\d{4}-\d\d-\d\dT[0-9:.]+Z`,
	`\b\d\d:\d\d:\d\d\b`,
	`\b[0-9a-f]{64}\b`,
	`\b[0-9a-f]{12}\b`,
	`=[A-Z2-7]{26}`,
	`\d+\.\d ms`,
	`"durationMs":[0-9.]+`,
	`"version":.*`,
	`\(devel\).*`,
}, "|"))

// An example is a command of docs/cli.md with its output.
type example struct{ command, output string }

func parseExamples(block string) []example {
	var examples []example
	for line := range strings.Lines(block) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			examples = append(examples, example{command: strings.TrimSuffix(command, "\n")})
			continue
		}
		examples[len(examples)-1].output += line
	}
	return examples
}

// docsShell runs the examples like one shell.
type docsShell struct {
	dir        string
	env        []string
	servers    []string // pairs of a URL in the page and the URL of this run
	ids        []string // pairs of an ID in the page and the ID of this run
	background []*backgroundExample
}

type backgroundExample struct {
	*process
	example *example
}

// run returns the output of a command. A server runs until the end of the test.
func (s *docsShell) run(t *testing.T, e *example) string {
	t.Helper()
	command := strings.NewReplacer(append(s.servers, s.ids...)...).Replace(e.command)
	if rest, ok := strings.CutPrefix(command, "export "); ok {
		for _, m := range exportLine.FindAllStringSubmatch(rest, -1) {
			s.env = append(s.env, m[0])
		}
		return ""
	}
	serves := map[string]string{"apivideo-webhooks fake": " --addr 127.0.0.1:0", "apivideo-webhooks listen": " --port 0"}
	for prefix, suffix := range serves {
		if strings.HasPrefix(command, prefix) {
			return s.serve(t, command+suffix, e)
		}
	}
	cmd := s.command(t, command)
	out, err := cmd.CombinedOutput()
	require.NotNil(t, cmd.ProcessState, err)
	return string(out)
}

func (s *docsShell) command(t *testing.T, command string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "bash", "-c", "exec 2>&1; "+command)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

func (s *docsShell) serve(t *testing.T, command string, e *example) string {
	t.Helper()
	p, err := startProcess(s.command(t, "exec "+command))
	require.NoError(t, err)
	t.Cleanup(p.kill)
	actual, err := p.url()
	require.NoError(t, err)
	port := "http://127.0.0.1:8080"
	if strings.Contains(command, " listen ") {
		port = "http://127.0.0.1:8787"
	}
	s.servers = append(s.servers, port, actual)
	s.background = append(s.background, &backgroundExample{p, e})
	return p.out.String() // the rest is known at the end
}

// restore replaces the servers of this run by those in the page.
func (s *docsShell) restore(output string) string {
	pairs := slices.Clone(s.servers)
	slices.Reverse(pairs)
	return strings.NewReplacer(pairs...).Replace(output)
}

// recordIDs records the IDs of this run for those in the page.
func (s *docsShell) recordIDs(page, run string) {
	in, out := volatile.FindAllString(page, -1), volatile.FindAllString(run, -1)
	for i := range min(len(in), len(out)) {
		s.ids = append(s.ids, in[i], out[i])
	}
}

// The examples of docs/cli.md have their real output. Run the test with -update
// after a change of the output.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(cliPage)
	require.NoError(t, err)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte("thanks\n"))
	}))
	t.Cleanup(receiver.Close)
	shell := &docsShell{
		dir:     t.TempDir(),
		env:     []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + raceOptions, "XDG_CONFIG_HOME=" + t.TempDir()},
		servers: []string{"http://localhost:3000", receiver.URL},
	}

	var examples []*example
	for _, block := range consoleBlock.FindAllStringSubmatch(string(page), -1) {
		for _, e := range parseExamples(block[1]) {
			examples = append(examples, &e)
		}
	}
	require.GreaterOrEqual(t, len(examples), 15)
	got := make([]string, len(examples))
	for i, e := range examples {
		if name, ok := strings.CutPrefix(e.command, "cat "); ok { // the page has the file
			require.NoError(t, os.WriteFile(filepath.Join(shell.dir, name), []byte(e.output), 0o600))
		}
		got[i] = shell.restore(shell.run(t, e))
		shell.recordIDs(e.output, got[i])
	}
	for _, b := range slices.Backward(shell.background) { // listen needs the fake
		require.NoError(t, b.cmd.Process.Signal(syscall.SIGINT))
		require.Equal(t, exitOK, b.wait(), b.out)
		for i, e := range examples {
			if e == b.example {
				got[i] = shell.restore(b.out.String())
			}
		}
	}
	if *update {
		updateDocs(t, page, shell, examples, got)
		return
	}
	for i, e := range examples {
		assert.Equal(t, volatile.ReplaceAllString(e.output, "*"), volatile.ReplaceAllString(got[i], "*"), e.command)
	}
}

// updateDocs writes the page with the commands and the output of this run.
func updateDocs(t *testing.T, page []byte, shell *docsShell, examples []*example, got []string) {
	t.Helper()
	next := 0
	page = consoleBlock.ReplaceAllFunc(page, func(block []byte) []byte {
		var b bytes.Buffer
		b.WriteString("```console\n")
		for range parseExamples(string(consoleBlock.FindSubmatch(block)[1])) {
			b.WriteString("$ " + strings.NewReplacer(shell.ids...).Replace(examples[next].command) + "\n" + got[next])
			next++
		}
		b.WriteString("```")
		return b.Bytes()
	})
	require.NoError(t, os.WriteFile(cliPage, page, 0o600))
}

// fieldTable is a table with the fields of a JSON object, and fieldRow a row of it.
var (
	fieldTable = regexp.MustCompile("(?m)^\\| (.+) \\| type \\| meaning \\|\n\\| --- \\| --- \\| --- \\|\n((?:\\|.*\n)+)")
	fieldRow   = regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (.+?) \\| .+ \\|$")
)

// docs/cli.md has all fields of the JSON output and their types.
func TestDocs_fields(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(cliPage)
	require.NoError(t, err)
	got := map[string][]string{}
	for _, table := range fieldTable.FindAllStringSubmatch(string(page), -1) {
		for _, row := range fieldRow.FindAllStringSubmatch(table[2], -1) {
			got[table[1]] = append(got[table[1]], row[1]+": "+row[2])
		}
	}
	want := map[string][]string{}
	for name, value := range map[string]any{
		"`create`, `ensure`, `get`, `list`": webhookJSON{},
		"`delete`":                          deletedJSON{},
		"`plan`":                            planJSON{},
		"desired webhook":                   plannedJSON{},
		"`apply`":                           appliedJSON{},
		"secret":                            secretEntry{},
		"`send`, `replay`":                  attemptJSON{},
		"`verify`":                          verdict{},
		"`listen`":                          forwardedJSON{},
		"record":                            record{},
		"`fake`":                            servingJSON{},
		"delivery":                          deliveryJSON{},
		"attempt":                           deliveryAttempt{},
		"request":                           requestJSON{},
		"fault":                             faultJSON{},
		"`version`":                         versionJSON{},
	} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(value)) {
			tag, omitted, _ := strings.Cut(field.Tag.Get("json"), ",")
			text := tag + ": " + jsonType(field.Type)
			if omitted != "" {
				text += ", optional"
			}
			want[name] = append(want[name], text)
		}
	}
	assert.Equal(t, want, got)
}

// defaultRow is a row of the table with the flags of fake.
var defaultRow = regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| .+ \\| `?(.+?)`? \\|$")

// docs/cli.md has all flags of fake and their defaults, and those of listen and send in
// the text.
func TestDocs_defaults(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(cliPage)
	require.NoError(t, err)
	page := strings.Join(strings.Fields(string(content)), " ")
	got, want := map[string]string{}, map[string]string{}
	for _, row := range defaultRow.FindAllStringSubmatch(string(content), -1) {
		got[row[1]] = row[2]
	}
	root := new(app).newRoot()
	flag := func(command, name string) string {
		cmd, _, err := root.Find([]string{command})
		require.NoError(t, err)
		return cmd.Flag(name).DefValue
	}
	fake, _, err := root.Find([]string{"fake"})
	require.NoError(t, err)
	for _, f := range collect(fake.LocalNonPersistentFlags().VisitAll) {
		want[f.Name] = strings.Trim(f.DefValue, "[]")
	}
	assert.Equal(t, want, got)
	assert.Contains(t, page, "`--port`, "+flag("listen", "port")+" by default")
	assert.Contains(t, page, "3 seconds apart")
	assert.Equal(t, "3s", flag("send", "retry-interval"))
	assert.Equal(t, "0", flag("send", "retries"))
	assert.Equal(t, "30s", flag("listen", "forward-timeout"))
	assert.Contains(t, page, "504 after `--forward-timeout`, 30 seconds by default")
	assert.Equal(t, "true", flag("list", "sandbox"))
	assert.Contains(t, page, "The sandbox is the default.")
}

// jsonType returns the name of a type in docs/cli.md.
func jsonType(goType reflect.Type) string {
	names := map[reflect.Type]string{
		reflect.TypeFor[time.Time]():       "time",
		reflect.TypeFor[[]byte]():          "string",
		reflect.TypeFor[planJSON]():        "plan",
		reflect.TypeFor[webhookJSON]():     "webhook",
		reflect.TypeFor[plannedJSON]():     "desired webhook",
		reflect.TypeFor[deliveryAttempt](): "attempt",
	}
	if name, ok := names[goType]; ok {
		return name
	}
	switch goType.Kind() {
	case reflect.Pointer:
		return jsonType(goType.Elem())
	case reflect.Slice:
		return "array of " + jsonType(goType.Elem()) + "s"
	case reflect.Map:
		if goType.Elem().Kind() == reflect.Slice {
			return "object of arrays of strings"
		}
		return "object of strings"
	case reflect.Bool:
		return "boolean"
	case reflect.Int:
		return "integer"
	case reflect.Float64:
		return "number"
	default:
		return goType.Kind().String()
	}
}
