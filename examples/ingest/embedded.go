package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// startEmbedded starts a NATS server in this process that stores in a directory
// and listens to nobody else. There is no second one to take over, so it writes
// each message to the disk before it acknowledges it. Two of them in one directory
// would write over each other's messages, so the second one doesn't start.
func startEmbedded(dir string, logger *slog.Logger) (*embedded, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "ingest",
		DontListen: true,
		JetStream:  true,
		StoreDir:   dir,
		SyncAlways: true,
		NoSigs:     true, // they are for this program
	})
	if err != nil {
		unlock()
		return nil, fmt.Errorf("nats-server: %w", err)
	}
	e := &embedded{Server: s, unlock: sync.OnceFunc(unlock)}
	s.SetLoggerV2(natsLogger{logger.With(slog.String("from", "nats-server"))}, false, false, false)
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		e.stop()
		return nil, errors.New("nats-server doesn't start: see its log")
	}
	return e, nil
}

// embedded is a server in this process.
type embedded struct {
	*server.Server
	unlock func()
}

// stop writes what is left, ends the server and leaves its directory.
func (e *embedded) stop() {
	e.Shutdown()
	e.WaitForShutdown()
	e.unlock()
}

// natsLogger hands on what a server has to say that matters to its user.
type natsLogger struct{ logger *slog.Logger }

func (l natsLogger) Noticef(string, ...any) {}
func (l natsLogger) Debugf(string, ...any)  {}
func (l natsLogger) Tracef(string, ...any)  {}

func (l natsLogger) Warnf(format string, v ...any)  { l.log(slog.LevelWarn, format, v) }
func (l natsLogger) Errorf(format string, v ...any) { l.log(slog.LevelError, format, v) }
func (l natsLogger) Fatalf(format string, v ...any) { l.log(slog.LevelError, format, v) }

func (l natsLogger) log(level slog.Level, format string, v []any) {
	l.logger.LogAttrs(context.Background(), level, "nats-server", slog.String("said", fmt.Sprintf(format, v...)))
}
