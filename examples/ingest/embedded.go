package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
)

// startEmbedded starts a NATS server in the process, without a port. The server stores
// and logs in a directory. Each message is synced before the acknowledgement, because
// there is no replica. Two servers in a directory lose messages, so the second fails.
func startEmbedded(dir string) (s *server.Server, stop func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, err
	}
	lock := flock.New(filepath.Join(dir, "lock"))
	if locked, err := lock.TryLock(); err != nil || !locked {
		return nil, nil, errors.Join(fmt.Errorf("directory %s: another process uses it", dir), err)
	}
	s, err = server.NewServer(&server.Options{
		ServerName: "ingest", DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: true, NoSigs: true,
		LogFile: filepath.Join(dir, "nats-server.log"),
	})
	if err != nil {
		return nil, nil, errors.Join(err, lock.Unlock())
	}
	s.ConfigureLogger()
	s.Start()
	stop = func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = lock.Unlock()
	}
	if !s.ReadyForConnections(10 * time.Second) {
		stop()
		return nil, nil, errors.New("the server in the process does not start: see nats-server.log")
	}
	return s, stop, nil
}
