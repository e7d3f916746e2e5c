package main

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// embedded is a NATS server in this process.
type embedded struct {
	*server.Server

	unlock func()
}

// startEmbedded starts a server that stores in a directory, has no port and logs to a
// file. It syncs each message before it acknowledges, because there is no replica.
// Two servers in one directory lose messages, so the second one is an error.
func startEmbedded(dir string) (*embedded, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "ingest", DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true,
		LogFile: filepath.Join(dir, "nats-server.log"),
	})
	if err != nil {
		unlock()
		return nil, err
	}
	s.ConfigureLogger()
	s.Start()
	e := &embedded{s, unlock}
	if !s.ReadyForConnections(10 * time.Second) {
		e.stop()
		return nil, errors.New("the server in the process does not start: see nats-server.log")
	}
	return e, nil
}

// stop ends the server and unlocks its directory.
func (e *embedded) stop() {
	e.Shutdown()
	e.WaitForShutdown()
	e.unlock()
}
