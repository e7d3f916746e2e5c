package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// TestMain is also the main function of servers and programs in other processes.
func TestMain(m *testing.M) {
	if config := os.Getenv("INGEST_TEST_SERVER"); config != "" {
		if err := serveUntilKilled(config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if args := os.Getenv("INGEST_TEST_PROGRAM"); args != "" {
		os.Exit(runProgram(args))
	}
	os.Exit(m.Run())
}

func serveUntilKilled(config string) error {
	var n node
	if err := json.Unmarshal([]byte(config), &n); err != nil {
		return err
	}
	s, err := server.NewServer(n.options())
	if err != nil {
		return err
	}
	s.Start()
	// The input ends with the test.
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// node is a server of a cluster, in this process or in another process.
type node struct {
	Name        string `json:"name"`
	Dir         string `json:"dir"`
	Port        int    `json:"port"`
	ClusterPort int    `json:"cluster_port"`
	Routes      []int  `json:"routes"`

	inside  *server.Server
	outside *exec.Cmd
}

func (n *node) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.Port) }

func (n *node) options() *server.Options {
	opts := &server.Options{
		ServerName: n.Name,
		Host:       "127.0.0.1",
		Port:       n.Port,
		JetStream:  true,
		StoreDir:   n.Dir,
		NoSigs:     true,
		NoLog:      true,
		Cluster:    server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: n.ClusterPort},
	}
	for _, port := range n.Routes {
		opts.Routes = append(opts.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	return opts
}

// start starts the server in this process.
func (n *node) start(tb testing.TB) {
	tb.Helper()
	var err error
	n.inside, err = server.NewServer(n.options())
	require.NoError(tb, err)
	n.inside.Start()
}

// startOutside starts the server in another process.
func (n *node) startOutside(tb testing.TB) {
	tb.Helper()
	config, err := json.Marshal(n)
	require.NoError(tb, err)
	n.outside = exec.Command(os.Args[0]) //nolint:noctx // the test kills the process
	n.outside.Env = append(os.Environ(), "INGEST_TEST_SERVER="+string(config))
	n.outside.Stderr = os.Stderr
	_, err = n.outside.StdinPipe()
	require.NoError(tb, err)
	require.NoError(tb, n.outside.Start())
}

// kill ends the server. Another process gets SIGKILL.
func (n *node) kill() {
	if n.outside != nil {
		_ = n.outside.Process.Kill()
		_ = n.outside.Wait()
		n.outside = nil
	}
	if n.inside != nil {
		n.inside.Shutdown()
		n.inside.WaitForShutdown()
		n.inside = nil
	}
}

// newNodes returns a cluster of three before the start.
func newNodes(tb testing.TB) []*node {
	tb.Helper()
	ports := freePorts(tb, 6)
	dir := tb.TempDir()
	nodes := make([]*node, 3)
	for i := range nodes {
		nodes[i] = &node{
			Name: fmt.Sprintf("n%d", i), Dir: filepath.Join(dir, strconv.Itoa(i)),
			Port: ports[i], ClusterPort: ports[3+i], Routes: ports[3:],
		}
		tb.Cleanup(nodes[i].kill)
	}
	return nodes
}

func urls(nodes []*node) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.url())
	}
	return strings.Join(all, ",")
}

// freePorts returns unused ports.
func freePorts(tb testing.TB, count int) []int {
	tb.Helper()
	ports := make([]int, count)
	for i := range ports {
		l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		defer func() { _ = l.Close() }()
		ports[i] = l.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// embedded is the server of "ingest all".
type embedded struct {
	*server.Server

	stop func()
}

func newEmbedded(tb testing.TB, dir string) *embedded {
	tb.Helper()
	s, stop, err := startEmbedded(dir)
	require.NoError(tb, err)
	e := &embedded{s, sync.OnceFunc(stop)}
	tb.Cleanup(e.stop)
	return e
}

// newServer returns a running server.
func newServer(tb testing.TB, opts *server.Options) *server.Server {
	tb.Helper()
	opts.ServerName, opts.JetStream, opts.NoSigs, opts.NoLog = "single", true, true, true
	s, err := server.NewServer(opts)
	require.NoError(tb, err)
	s.Start()
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	require.True(tb, s.ReadyForConnections(10*time.Second))
	return s
}

// connect returns streams with a new connection, and creates nothing on the server.
func connect(tb testing.TB, name, natsURL string, opts ...nats.Option) *streams {
	tb.Helper()
	conn, err := nats.Connect(natsURL, append(natsOptions(slog.New(slog.DiscardHandler)), append(opts,
		nats.RetryOnFailedConnect(true), nats.Timeout(5*time.Second))...)...)
	require.NoError(tb, err)
	tb.Cleanup(conn.Close)
	require.Eventually(tb, conn.IsConnected, 30*time.Second, 20*time.Millisecond)
	js, err := jetstream.New(conn)
	require.NoError(tb, err)
	replicas := 1
	if natsURL != "" {
		replicas = 3
	}
	return &streams{js: js, name: name, replicas: replicas, duplicates: minDuplicates, maxBytes: -1}
}

// newStreams returns the two streams on a new embedded server.
func newStreams(tb testing.TB) *streams {
	tb.Helper()
	s := connect(tb, "apivideo", "", nats.InProcessServer(newEmbedded(tb, tb.TempDir())))
	require.NoError(tb, s.ensure(tb.Context()))
	return s
}

// streamState returns the state of a stream.
func streamState(tb testing.TB, s *streams, name string) jetstream.StreamState {
	tb.Helper()
	stream, err := s.js.Stream(tb.Context(), name)
	require.NoError(tb, err)
	return stream.CachedInfo().State
}
