package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// TestMain is also the main function of the program in another process.
func TestMain(m *testing.M) {
	args, ok := os.LookupEnv("QUEUE_TEST_ARGS")
	if !ok {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c := &config{
		logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), handle: handleTest,
		client: []facade.Option{facade.WithBaseURL(os.Getenv("QUEUE_TEST_API"))},
	}
	if err := c.run(ctx, strings.Fields(args)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// handleTest is the function of the tests. The ID of the video selects a fault.
func handleTest(ctx context.Context, _ *slog.Logger, n *notification.Notification) error {
	kind, _, _ := strings.Cut(n.Event.(*notification.VideoEncodingQualityCompleted).VideoID, "-")
	switch kind {
	case "exit":
		pause(ctx, 100*time.Millisecond)
		os.Exit(3)
	case "hang":
		select {}
	case "panic":
		panic("a panic")
	case "fail":
		return errors.New("unknown video")
	case "long":
		fmt.Printf("begun %s\n", n.ID())
		if _, err := os.Stat(os.Getenv("QUEUE_TEST_FINISH")); err != nil {
			<-ctx.Done()
			return errors.New("interrupted")
		}
	case "slow":
		pause(ctx, 50*time.Millisecond)
	default:
		pause(ctx, 5*time.Millisecond)
	}
	fmt.Printf("handled %s\n", n.ID())
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// output is safe for concurrent use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// system is a database with programs.
type system struct {
	env     []string
	webhook *facade.Webhook
	addr    string
	out     output // of all programs

	query func(statement string) (result int) // of the database
}

// elect ends the term of a killed leader.
func (s *system) elect() { s.query("DELETE FROM river_leader RETURNING 1") }

// abandon makes all running jobs old, so that the next leader rescues them at once.
func (s *system) abandon() {
	s.query("UPDATE river_job SET attempted_at = '2020-01-01 00:00:00' WHERE state = 'running' RETURNING 1")
	s.elect()
}

// newSystem returns a system on a new database.
func newSystem(tb testing.TB, backend string) *system {
	tb.Helper()
	fake := facadetest.NewServer(facadetest.WithAPIKey("key"))
	tb.Cleanup(fake.Close)
	listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	require.NoError(tb, listener.Close())
	s := &system{addr: listener.Addr().String()}
	s.webhook, err = fake.Client().CreateWebhook(tb.Context(), facade.CreateWebhookParams{
		URL: "https://hooks.example.com/apivideo", Events: []facade.EventType{facade.EventVideoEncodingQualityCompleted},
	})
	require.NoError(tb, err)
	file := filepath.Join(tb.TempDir(), "queue.db")
	s.env = append(os.Environ(), "APIVIDEO_API_KEY=key", "QUEUE_TEST_API="+fake.URL, "QUEUE_TEST_FINISH="+filepath.Join(tb.TempDir(), "finish"),
		"QUEUE_TEST_FILE="+file, "DATABASE_URL=")
	s.query = func(statement string) (result int) {
		db, err := sql.Open("sqlite", "file:"+file+"?_pragma=busy_timeout(10000)")
		require.NoError(tb, err)
		if err = db.QueryRowContext(tb.Context(), statement).Scan(&result); errors.Is(err, sql.ErrNoRows) {
			err = nil
		}
		require.NoError(tb, errors.Join(err, db.Close()))
		return result
	}
	if backend == "PostgreSQL" {
		admin := os.Getenv("DATABASE_URL")
		if admin == "" {
			tb.Skip("DATABASE_URL is not set: run make test-queue")
		}
		name := strings.ToLower(strings.NewReplacer("/", "_", "-", "_", "=", "_").Replace(tb.Name()))
		queryPostgres(tb, admin, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
		queryPostgres(tb, admin, "CREATE DATABASE "+name)
		own := strings.Replace(admin, "/postgres?", "/"+name+"?", 1)
		s.env = append(s.env, "DATABASE_URL="+own)
		s.query = func(statement string) int { return queryPostgres(tb, own, statement) }
	}
	return s
}

func queryPostgres(tb testing.TB, url, statement string) (result int) {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), url)
	require.NoError(tb, err)
	if err = conn.QueryRow(tb.Context(), statement).Scan(&result); errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	require.NoError(tb, errors.Join(err, conn.Close(tb.Context())))
	return result
}

// backends runs a test on both databases. On PostgreSQL the test of losses restarts
// the server, so others run before or after the restart.
func backends(t *testing.T, test func(t *testing.T, s *system)) {
	t.Helper()
	for _, backend := range []string{"SQLite", "PostgreSQL"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			if backend == "PostgreSQL" && t.Name() != "TestLoss/PostgreSQL" {
				postgres.RLock()
				defer postgres.RUnlock()
			}
			test(t, newSystem(t, backend))
		})
	}
}

// postgres is locked until the restart of the server.
var postgres sync.RWMutex

// process is a running program.
type process struct {
	cmd  *exec.Cmd
	logs output
	done chan struct{}
}

func (s *system) start(t *testing.T, args string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), done: make(chan struct{})} //nolint:noctx // killed at the end of the test
	p.cmd.Env = slices.Clone(s.env)
	for _, pair := range s.env {
		if file, ok := strings.CutPrefix(pair, "QUEUE_TEST_FILE="); ok {
			args = "-file " + file + " " + args
		}
	}
	p.cmd.Env = append(p.cmd.Env, "QUEUE_TEST_ARGS="+args)
	p.cmd.Stdout, p.cmd.Stderr = &s.out, &p.logs
	require.NoError(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			logs := p.logs.String()
			t.Log(args, logs[max(0, len(logs)-4000):])
		}
	})
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// isDone reports whether the process has ended.
func (p *process) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process gracefully and returns its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.done
	return p.cmd.ProcessState.ExitCode()
}

// receiver starts a receiver and waits until the receiver is ready.
func (s *system) receiver(t *testing.T, flags string) *process {
	t.Helper()
	p := s.start(t, "-addr "+s.addr+" "+flags+" receive")
	require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), "msg=receiving") }, 30*time.Second, 10*time.Millisecond)
	return p
}

// send sends a notification until the acknowledgement, and returns the ID.
func (s *system) send(t *testing.T, video string) string {
	t.Helper()
	require.Eventually(t, func() bool { return s.post(t, video) == http.StatusAccepted }, 30*time.Second, 50*time.Millisecond)
	return (&notification.Notification{WebhookID: s.webhook.ID, Raw: videoBody(video)}).ID()
}

// post sends a notification once, and returns the status or 0.
func (s *system) post(t *testing.T, video string) int {
	t.Helper()
	return s.postBody(t.Context(), new(http.Client), videoBody(video))
}

func (s *system) postBody(ctx context.Context, client *http.Client, body []byte) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.addr+"/apivideo", bytes.NewReader(body))
	if err != nil {
		return 0
	}
	req.Header.Set(notification.HeaderWebhookID, s.webhook.ID)
	req.Header.Set(notification.HeaderSignature, notification.Sign(body, s.webhook.SignatureSecret))
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body) // the connection is used again
	_ = resp.Body.Close()
	return resp.StatusCode
}

func videoBody(video string) []byte {
	return fmt.Appendf(nil, `{"type":"video.encoding.quality.completed","videoId":%q,"x":"\u0000","n":1.0}`, video)
}

// handled returns how often each notification was handled.
func (s *system) handled() map[string]int {
	counts := map[string]int{}
	for line := range strings.Lines(s.out.String()) {
		if id, ok := strings.CutPrefix(line, "handled "); ok {
			counts[strings.TrimSpace(id)]++
		}
	}
	return counts
}

func (s *system) eventuallyHandled(t *testing.T, count int) {
	t.Helper()
	require.Eventually(t, func() bool { return len(s.handled()) >= count }, time.Minute, 50*time.Millisecond)
}

// dead returns the lines of the command.
func (s *system) dead(t *testing.T) []string {
	t.Helper()
	before := len(s.out.String())
	p := s.start(t, "dead")
	<-p.done
	require.Equal(t, 0, p.cmd.ProcessState.ExitCode(), p.logs.String())
	var lines []string
	for line := range strings.Lines(s.out.String()[before:]) {
		if strings.Contains(line, " attempts\t") {
			lines = append(lines, line)
		}
	}
	return lines
}

// No acknowledged notification is lost. Only notifications in flight are handled twice.
func TestLoss(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, s *system) {
		t.Helper()
		const total, workers, senders = 2000, 8, 16
		isPostgres := strings.HasSuffix(t.Name(), "PostgreSQL")
		flags := fmt.Sprintf("-workers %d -timeout 2s -grace 1s -backoff 500ms", workers)
		unlock := sync.OnceFunc(postgres.Unlock)
		if isPostgres {
			postgres.Lock()
			defer unlock()
		}
		var receiver *process
		var processes [2]*process
		var start sync.WaitGroup // together, to disturb the migrations
		start.Go(func() { receiver = s.receiver(t, flags) })
		for i := range processes {
			start.Go(func() { processes[i] = s.start(t, flags+" work") })
		}
		start.Wait()

		var sent atomic.Int64
		var mu sync.Mutex
		acknowledged := map[string]bool{}
		var group sync.WaitGroup
		for sender := range senders {
			group.Go(func() {
				for i := sender; i < total; i += senders {
					id := s.send(t, fmt.Sprintf("vi-%d", i))
					mu.Lock()
					acknowledged[id] = true
					mu.Unlock()
					sent.Add(1)
				}
			})
		}
		inFlight := 0
		at := func(percent int64, do func()) {
			require.Eventually(t, func() bool { return sent.Load() >= total*percent/100 }, time.Minute, time.Millisecond)
			do()
		}
		restartReceiver := func() { receiver.kill(); receiver = s.receiver(t, flags) }
		restartWorker := func(i int) func() {
			return func() {
				processes[i].kill()
				inFlight += s.query("SELECT count(*) FROM river_job WHERE state = 'running'")
				processes[i] = s.start(t, flags+" work")
			}
		}
		at(10, restartReceiver)
		at(20, restartWorker(0))
		at(35, func() {
			if isPostgres {
				out, err := exec.CommandContext(t.Context(), os.Getenv("POSTGRES_RESTART")).CombinedOutput()
				require.NoError(t, err, string(out))
				unlock()
			}
		})
		at(50, restartReceiver)
		at(60, restartWorker(1))
		at(75, restartWorker(0))
		at(90, restartReceiver)
		group.Wait()
		require.Eventually(t, func() bool { // all running jobs are of killed workers
			young := time.Now().UTC().Add(-5 * time.Second).Format("2006-01-02 15:04:05+00")
			return s.query("SELECT count(*) FROM river_job WHERE state = 'running' AND attempted_at > '"+young+"'") == 0
		}, time.Minute, 100*time.Millisecond)
		s.elect()
		require.Len(t, acknowledged, total)
		s.eventuallyHandled(t, total)
		twice := 0
		for id, count := range s.handled() {
			assert.True(t, acknowledged[id])
			twice += count - 1
		}
		assert.LessOrEqual(t, twice, inFlight)
		assert.Empty(t, s.dead(t))
		t.Logf("acknowledged %d, handled %d, twice %d (limit %d), 3 kills of the receiver, 3 of a worker", len(acknowledged), len(s.handled()), twice, inFlight)
		assert.Equal(t, 0, receiver.stop(t))
		assert.Equal(t, 0, processes[0].stop(t))
	})
}

// Without the database the receiver responds with 503, so that the service retries.
func TestReceive_unavailable(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "SQLite")
	s.receiver(t, "")
	s.query("ALTER TABLE river_job RENAME TO hidden")
	begin := time.Now()
	assert.Equal(t, http.StatusServiceUnavailable, s.post(t, "vi-1"))
	assert.GreaterOrEqual(t, time.Since(begin), 5*time.Second)
	s.query("ALTER TABLE hidden RENAME TO river_job")
	assert.Equal(t, http.StatusAccepted, s.post(t, "vi-1"))
}

// A notification ends the process and becomes dead. The neighbors are handled.
func TestFault_exit(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, s *system) {
		t.Helper()
		flags := "-workers 8 -timeout 1500ms -grace 1s -backoff 500ms -max-attempts 3"
		s.receiver(t, flags)
		s.send(t, "exit-1")
		for i := range 4 {
			s.send(t, fmt.Sprintf("slow-%d", i))
		}
		crashes := 0
		for dead := false; !dead; {
			p := s.start(t, flags+" work")
			require.Eventually(t, func() bool {
				dead = s.query("SELECT count(*) FROM river_job WHERE state = 'discarded'") > 0
				return dead || p.isDone()
			}, time.Minute, 20*time.Millisecond)
			if p.isDone() {
				crashes++
				s.abandon()
			}
		}
		s.eventuallyHandled(t, 4)
		require.Len(t, s.dead(t), 1)
		assert.Equal(t, 3, crashes)
		t.Logf("dead 1, handled %d, crashes %d", len(s.handled()), crashes)
	})
}

// Notifications that panic or hang leave the workers to others. The process ends
// when as many hang as there are workers.
func TestFault_panicAndHang(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, s *system) {
		t.Helper()
		flags := "-workers 2 -timeout 200ms -grace 300ms -max-attempts 1"
		s.receiver(t, flags)
		p := s.start(t, flags+" work")
		s.send(t, "panic-1")
		s.send(t, "fail-1")
		s.send(t, "hang-1")
		for i := range 10 {
			s.send(t, fmt.Sprintf("vi-%d", i))
		}
		s.eventuallyHandled(t, 10)
		require.Eventually(t, func() bool { // the hanging job may be dead too
			dead := strings.Join(s.dead(t), "")
			return strings.Contains(dead, "a panic") && strings.Contains(dead, "unknown video")
		}, 20*time.Second, 200*time.Millisecond)
		require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), "hanging=1") }, 20*time.Second, 50*time.Millisecond)
		s.send(t, "hang-2")
		<-p.done
		assert.Equal(t, 1, p.cmd.ProcessState.ExitCode())
		assert.Contains(t, p.logs.String(), "as many jobs hang as there are workers")
	})
}

// A suspect that hangs does not block other notifications.
func TestFault_suspectHangs(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "SQLite")
	flags := "-workers 2 -timeout 1s -grace 300ms -backoff 100ms -max-attempts 3"
	s.receiver(t, flags)
	s.send(t, "hang-1")
	for i := range 2 {
		p := s.start(t, flags+" work")
		require.Eventually(t, func() bool {
			return s.query(fmt.Sprintf("SELECT count(*) FROM river_job WHERE state = 'running' AND attempt = %d", i+1)) > 0
		}, 30*time.Second, 10*time.Millisecond)
		p.kill()
		s.abandon()
	}
	p := s.start(t, flags+" work")
	require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), "hanging=1") }, 30*time.Second, 10*time.Millisecond)
	for i := range 4 {
		s.send(t, fmt.Sprintf("vi-%d", i))
	}
	s.eventuallyHandled(t, 4)
}

// A stop costs no attempt, even if the stop interrupts a notification. Then the only
// attempt of the notification succeeds.
func TestStop_longNotification(t *testing.T) {
	t.Parallel()
	backends(t, func(t *testing.T, s *system) {
		t.Helper()
		flags := "-grace 200ms -max-attempts 1"
		s.receiver(t, flags)
		id := s.send(t, "long-1")
		for i := range 6 {
			p := s.start(t, flags+" work")
			require.Eventually(t, func() bool { return strings.Count(s.out.String(), "begun "+id) == i+1 }, 30*time.Second, 10*time.Millisecond)
			require.Equal(t, 0, p.stop(t), p.logs.String())
		}
		require.Empty(t, s.dead(t))
		for _, pair := range s.env {
			if file, ok := strings.CutPrefix(pair, "QUEUE_TEST_FINISH="); ok {
				require.NoError(t, os.WriteFile(file, nil, 0o600))
			}
		}
		s.start(t, flags+" work")
		s.eventuallyHandled(t, 1)
	})
}

// A function that ignores its context does not keep the process alive.
func TestStop_hang(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "SQLite")
	flags := "-grace 200ms"
	s.receiver(t, flags)
	s.send(t, "hang-1")
	p := s.start(t, flags+" work")
	require.Eventually(t, func() bool { return strings.Contains(p.logs.String(), "River client started") }, 30*time.Second, 10*time.Millisecond)
	s.send(t, "vi-1")
	s.eventuallyHandled(t, 1)
	assert.Equal(t, 1, p.stop(t))
	assert.Contains(t, p.logs.String(), "the stop takes too long")
}

// Dead notifications are listed with their bodies, remain unique, and are handled
// after a retry.
func TestDead_retry(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "SQLite")
	all := s.start(t, "-addr "+s.addr+" -max-attempts 1 -grace 1s all")
	for range 2 {
		s.send(t, "fail-1")
		require.Eventually(t, func() bool { return len(s.dead(t)) == 1 }, 20*time.Second, 100*time.Millisecond)
	}
	line := s.dead(t)[0]
	assert.Contains(t, line, "discarded\t1 attempts\t\"unknown video\"\t")
	for _, args := range []string{"retry", "retry"} {
		p := s.start(t, args)
		<-p.done
		require.Equal(t, 0, p.cmd.ProcessState.ExitCode(), p.logs.String())
		require.Eventually(t, func() bool {
			lines := s.dead(t)
			return len(lines) == 1 && !strings.Contains(lines[0], "\t1 attempts")
		}, 20*time.Second, 100*time.Millisecond)
	}
	assert.Contains(t, s.dead(t)[0], "\t3 attempts")
	assert.Equal(t, 0, all.stop(t), all.logs.String())
}

// A job with an undecodable body is cancelled, listed and still unique. A user may
// cancel a job before the first attempt.
func TestDead_cancelled(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "SQLite")
	receiver := s.receiver(t, "")
	assert.Equal(t, http.StatusBadRequest, s.postBody(t.Context(), new(http.Client), []byte("hello")), "authentic and malformed")
	s.send(t, "vi-1")
	s.query("UPDATE river_job SET args = jsonb_set(args, '$.body', 'aGVsbG8=') RETURNING 1")
	p := s.start(t, "work")
	require.Eventually(t, func() bool { return s.query("SELECT count(*) FROM river_job WHERE state = 'cancelled'") == 1 }, 20*time.Second, 20*time.Millisecond)
	require.Equal(t, 0, p.stop(t))
	s.send(t, "vi-1")
	require.Equal(t, 1, s.query("SELECT count(*) FROM river_job"))
	lines := s.dead(t)
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], "\tcancelled\t1 attempts\t\"JobCancelError: ")
	assert.Contains(t, lines[0], "aGVsbG8=")

	s.query("UPDATE river_job SET errors = NULL RETURNING 1")
	require.Equal(t, 0, receiver.stop(t))
	lines = s.dead(t)
	require.Len(t, lines, 1)
	assert.Contains(t, lines[0], "\tcancelled\t1 attempts\t\"\"\t")
}

// The list is complete. A retry ends with its first error, and lists the retried jobs.
func TestDead_manyAndError(t *testing.T) {
	t.Parallel()
	s := newSystem(t, "SQLite")
	const many = 10_001
	require.Empty(t, s.dead(t)) // creates the tables
	s.query(fmt.Sprintf(`INSERT INTO river_job (args, attempt, finalized_at, kind, max_attempts, state)
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
		SELECT '{}', 1, CURRENT_TIMESTAMP, 'notification', 1, 'discarded' FROM n RETURNING 1`, many))
	require.Equal(t, many, s.query("SELECT count(*) FROM river_job"))
	assert.Len(t, s.dead(t), many)
	s.query("CREATE TRIGGER locked BEFORE UPDATE ON river_job WHEN OLD.id = 3 BEGIN SELECT RAISE(ABORT, 'locked'); END")
	before := len(s.out.String())
	p := s.start(t, "retry")
	<-p.done
	assert.Equal(t, 1, p.cmd.ProcessState.ExitCode())
	assert.Contains(t, p.logs.String(), "retry of job 3: ")
	assert.Equal(t, 2, strings.Count(s.out.String()[before:], "\tdiscarded\t"))
	assert.Equal(t, many-2, s.query("SELECT count(*) FROM river_job WHERE state = 'discarded'"))
}

// testJob returns a job that was in flight when its last processes died.
func testJob(deaths int) *rivertype.JobRow {
	row := &rivertype.JobRow{}
	for range deaths {
		row.Errors = append(row.Errors, rivertype.AttemptError{Error: "Stuck job rescued by JobRescuer"})
	}
	return row
}

func testWorker(timeout time.Duration) *worker {
	c := &config{timeout: timeout, grace: time.Millisecond, logger: slog.New(slog.DiscardHandler)}
	return &worker{config: c, running: semaphore.NewWeighted(math.MaxInt64)}
}

// A suspect runs with nothing beside it. Other jobs are concurrent.
func TestSeparate_suspect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := testWorker(time.Minute)
		var mu sync.Mutex
		running, suspects, besides, maximum, snoozed := 0, 0, 0, 0, 0
		job := func(deaths int) func() {
			return func() {
				err := w.separate(t.Context(), testJob(deaths), func(ctx context.Context) error {
					mu.Lock()
					running++
					if deaths > 1 {
						suspects++
					}
					maximum = max(maximum, running)
					if suspects > 0 && running > 1 {
						besides++
					}
					mu.Unlock()
					pause(ctx, time.Second)
					mu.Lock()
					defer mu.Unlock()
					running--
					if deaths > 1 {
						suspects--
					}
					return nil
				})
				mu.Lock()
				defer mu.Unlock()
				if snooze := new(river.JobSnoozeError); errors.As(err, &snooze) {
					snoozed++
				}
			}
		}
		var group sync.WaitGroup
		for range 20 {
			for deaths := range 3 {
				group.Go(job(deaths))
			}
			pause(t.Context(), 300*time.Millisecond)
		}
		group.Wait()
		assert.Zero(t, besides)
		assert.Greater(t, maximum, 1, "other jobs are concurrent")
		assert.Positive(t, snoozed, "one suspect at a time")
		assert.Less(t, snoozed, 20)
	})
}

// A job that waits for a suspect costs no attempt, and keeps the record of suspects.
// Each function has all its time.
func TestSeparate_waits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := testWorker(time.Minute)
		release := make(chan struct{})
		var group sync.WaitGroup
		group.Go(func() {
			assert.NoError(t, w.separate(t.Context(), testJob(0), func(context.Context) error { <-release; return nil }))
		})
		synctest.Wait()
		group.Go(func() {
			pause(t.Context(), 30*time.Second)
			close(release)
		})
		begin := time.Now()
		require.NoError(t, w.separate(t.Context(), testJob(2), func(context.Context) error {
			assert.GreaterOrEqual(t, time.Since(begin), 30*time.Second)
			pause(t.Context(), 50*time.Second) // more than the rest of a minute
			group.Go(func() {
				assert.NoError(t, w.separate(t.Context(), testJob(0), func(context.Context) error { return nil }))
			})
			synctest.Wait()
			return nil
		}))
		group.Wait()

		w.suspect.Lock()
		require.NoError(t, w.running.Acquire(t.Context(), math.MaxInt64)) // a suspect that never returns
		var snooze *river.JobSnoozeError
		require.ErrorAs(t, w.separate(t.Context(), testJob(0), nil), &snooze)
		w.suspect.Unlock()
		require.ErrorAs(t, w.separate(t.Context(), testJob(2), nil), &snooze)
		require.True(t, w.suspect.TryLock(), "the waiting suspect has released its lock")
		stopped, stop := context.WithCancel(t.Context())
		stop()
		require.ErrorIs(t, w.separate(stopped, testJob(0), nil), context.Canceled)
	})
}

// A function that never returns releases the lock after the time limit.
func TestSeparate_hangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := testWorker(time.Minute)
		hang := make(chan struct{})
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				_ = w.separate(t.Context(), testJob(2), func(context.Context) error { <-hang; return nil })
			})
			pause(t.Context(), 90*time.Second)
			require.NoError(t, w.separate(t.Context(), testJob(0), func(context.Context) error { return nil }))
		}
		close(hang)
		group.Wait()
	})
}

func TestWork(t *testing.T) {
	t.Parallel()
	w := testWorker(time.Minute)
	failure := errors.New("interrupted")
	w.config.handle = func(context.Context, *slog.Logger, *notification.Notification) error { return failure }
	valid := &river.Job[job]{JobRow: testJob(0), Args: job{ID: "1", WebhookID: "webhook_1", Body: []byte(`{"type":"x"}`)}}
	err := w.Work(t.Context(), valid)
	require.Equal(t, failure, err, "a failed attempt")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	err = w.Work(stopped, valid)
	require.ErrorIs(t, err, context.Canceled, "costs no attempt")
	require.ErrorIs(t, err, failure)
	late, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	require.Equal(t, failure, w.Work(late, valid), "a failed attempt")
	var undecodable *river.JobCancelError
	require.ErrorAs(t, w.Work(t.Context(), &river.Job[job]{JobRow: testJob(0), Args: job{Body: []byte("hello")}}), &undecodable)
}

func TestRiverConfig(t *testing.T) {
	t.Parallel()
	c := &config{workers: 3, maxAttempts: 4, timeout: time.Minute, grace: 10 * time.Second}
	got := c.riverConfig()
	assert.Equal(t, map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 3}}, got.Queues)
	assert.Equal(t, 4, got.MaxAttempts)
	assert.Equal(t, 10*time.Millisecond, got.FetchCooldown)
	assert.Equal(t, 100*time.Millisecond, got.FetchPollInterval)
	assert.Equal(t, time.Duration(-1), got.DiscardedJobRetentionPeriod, "dead jobs stay")
	assert.Equal(t, time.Duration(-1), got.CancelledJobRetentionPeriod, "dead jobs stay")
	assert.Equal(t, time.Minute, got.JobTimeout)
	assert.Equal(t, 10*time.Second, got.JobStuckThreshold)
	assert.Equal(t, 10*time.Second, got.SoftStopTimeout)
	assert.Equal(t, 140*time.Second, got.RescueStuckJobsAfter, "longer than a wait, the function and the time of grace")
	assert.Len(t, got.Middleware, 1)
	for _, option := range []string{"_txlock=immediate", "busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)"} {
		assert.Contains(t, sqliteOptions, option)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "nonesuch", "-workers 0 work", "-timeout 0s work", "-grace -1s work", "-backoff 0s work", "retry x", "work all"} {
		c := &config{logger: slog.New(slog.DiscardHandler)}
		require.Error(t, c.run(t.Context(), append([]string{"-file", filepath.Join(t.TempDir(), "queue.db")}, strings.Fields(args)...)), args)
	}
}

func TestNextRetry(t *testing.T) {
	t.Parallel()
	w := &worker{config: &config{backoff: 5 * time.Second, maxAttempts: 32}}
	total := time.Duration(0)
	for attempt := range w.config.maxAttempts {
		least, most := 10*time.Hour, time.Duration(0)
		for range 200 {
			delay := time.Until(w.NextRetry(&river.Job[job]{JobRow: &rivertype.JobRow{Attempt: attempt + 1}}))
			least, most = min(least, delay), max(most, delay)
		}
		assert.Less(t, least, most/4, "a wide spread")
		assert.Less(t, most, 2*time.Hour)
		total += most / 2
	}
	assert.InDelta(t, 24, total.Hours(), 4)
}
