package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/apivideo-community/webhooks-go/facade"
)

// marker is the query parameter in the URL of a temporary webhook. Its value is the
// ID of the run that created the webhook.
const marker = "apivideo-webhooks-listen"

// A tempRun is an execution of listen. A file in the user's configuration folder is
// locked until the process ends. A webhook with the ID of an unlocked file is therefore
// a leftover of a crash on this machine. A webhook without a file belongs to another
// machine.
type tempRun struct {
	id   string
	lock *flock.Flock
}

func runFolder() (string, error) {
	base, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no folder for temporary webhooks; set HOME or XDG_CONFIG_HOME: %w", err)
	}
	return filepath.Join(base, "apivideo-webhooks", "listen"), nil
}

// startRun creates the file of a run, which has the account as its content.
func startRun(account string) (*tempRun, error) {
	folder, err := runFolder()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	id := rand.Text()
	path := filepath.Join(folder, id)
	if err := os.WriteFile(path, []byte(account), 0o600); err != nil {
		return nil, err
	}
	r := &tempRun{id, flock.New(path)}
	if err := r.lock.Lock(); err != nil {
		return nil, fmt.Errorf("%s cannot be locked; check the folder: %w", path, err)
	}
	return r, nil
}

// mark adds the ID of the run to a URL.
func (r *tempRun) mark(rawURL string) string {
	rawURL, fragment, _ := strings.Cut(rawURL, "#")
	separator := "?"
	if strings.Contains(rawURL, "?") {
		separator = "&"
	}
	rawURL += separator + marker + "=" + r.id
	if fragment != "" {
		rawURL += "#" + fragment
	}
	return rawURL
}

// end removes the file of the run. Its webhook must not exist any more.
func (r *tempRun) end() error {
	return join(r.lock.Close(), os.Remove(r.lock.Path())) // Windows removes closed files only
}

// abandon unlocks the file, so that the next run removes the webhook.
func (r *tempRun) abandon() { _ = r.lock.Close() }

// account identifies the API key and the environment.
func (a *app) account() string {
	sum := sha256.Sum256([]byte(a.environment() + " " + a.env(envAPIKey)))
	return hex.EncodeToString(sum[:])
}

// removeLeftovers deletes the webhooks of crashed runs on this machine, and the files
// of runs whose webhooks do not exist.
func (a *app) removeLeftovers(ctx context.Context, client *facade.Client) error {
	folder, err := runFolder()
	if err != nil {
		return err
	}
	runs := map[string]bool{}
	for wh, err := range client.Webhooks(ctx, facade.ListOptions{}) {
		if err != nil {
			return err
		}
		id := runID(wh.URL)
		runs[id] = true
		leftover := lockLeftover(folder, id)
		if leftover == nil {
			continue
		}
		if err := client.DeleteWebhook(ctx, wh.ID); err != nil && !errors.Is(err, facade.ErrNotFound) {
			leftover.abandon()
			return err
		}
		a.notef("Removed %s, a leftover of an earlier run", clean(wh.ID))
		if err := leftover.end(); err != nil {
			return err
		}
	}
	return removeStale(folder, a.account(), runs)
}

// staleAge is the age of the files that removeStale removes. The lock of a younger
// file may be pending.
const staleAge = time.Hour

// removeStale removes the files of crashed runs in an account, except those of the given
// runs, whose webhooks exist.
func removeStale(folder, account string, runs map[string]bool) error {
	files, err := os.ReadDir(folder)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil || runs[file.Name()] || time.Since(info.ModTime()) < staleAge {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, file.Name())) //nolint:gosec // a file of this tool
		if err != nil || string(content) != account {
			continue // another account may have the webhook
		}
		if leftover := lockLeftover(folder, file.Name()); leftover != nil {
			if err := leftover.end(); err != nil {
				return err
			}
		}
	}
	return nil
}

// runID returns the ID of the run in a URL, or "".
func runID(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	values := u.Query()[marker]
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// lockLeftover returns a run that ended without removing its file, with its lock, or nil.
func lockLeftover(folder, id string) *tempRun {
	if id == "" || id != filepath.Base(id) || id == "." || id == ".." {
		return nil
	}
	path := filepath.Join(folder, id)
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	r := &tempRun{id, flock.New(path)}
	if locked, err := r.lock.TryLock(); err != nil || !locked {
		return nil
	}
	return r
}
