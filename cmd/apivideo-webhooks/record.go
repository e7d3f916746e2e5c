package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/apivideo-community/webhooks-go/facade"
)

// record is one line of a recording. A body that is not UTF-8 is in base64.
type record struct {
	ReceivedAt time.Time        `json:"receivedAt"`
	ID         string           `json:"id"`
	WebhookID  string           `json:"webhookId"`
	Type       facade.EventType `json:"type"`
	Header     http.Header      `json:"header"`
	Body       string           `json:"body,omitempty"`
	BodyBase64 []byte           `json:"bodyBase64,omitempty"`
}

func (r *record) setBody(body []byte) {
	if utf8.Valid(body) {
		r.Body = string(body)
	} else {
		r.BodyBase64 = body
	}
}

func (r *record) bytes() []byte {
	if r.BodyBase64 != nil {
		return r.BodyBase64
	}
	return []byte(r.Body)
}

// recorder appends records to a file with mode 0600, because anyone can replay a
// record.
type recorder struct {
	mu   sync.Mutex
	file *os.File
}

func openRecorder(name string) (*recorder, error) {
	file, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the user names the file
	if err != nil {
		return nil, err
	}
	if err := prepare(file); err != nil {
		return nil, join(err, file.Close())
	}
	return &recorder{file: file}, nil
}

// prepare sets the mode of a regular file, and ends a line that a crash has truncated.
func prepare(file *os.File) error {
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() { // for example /dev/stdout
		return err
	}
	if err := file.Chmod(0o600); err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = file.WriteString("\n")
	return err
}

func (r *recorder) add(rec record) error {
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rec); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	n, err := r.file.Write(line.Bytes())
	if err != nil && n > 0 { // for example a full disk
		err = join(err, r.file.Truncate(info.Size()))
	}
	return err
}

func (r *recorder) close() error { return r.file.Close() }

// readRecords reads a recording. Each notification is returned once, although
// the recording has redeliveries, too.
func (a *app) readRecords(ctx context.Context, name string) ([]record, error) {
	data, err := a.readInput(ctx, name)
	if err != nil {
		return nil, err
	}
	var records []record
	seen := map[string]bool{}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var r record
		err := json.Unmarshal(line, &r)
		if err == nil && (r.ID == "" || r.Header == nil) {
			err = errors.New("id or header is missing")
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: the line is not a record by listen --record; remove the line: %w", name, number, err)
		}
		if !seen[r.ID] {
			seen[r.ID] = true
			records = append(records, r)
		}
	}
	return records, nil
}
