package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/apivideo-community/webhooks-go/facade"
)

// secretsFile is the content of a file with the secrets of several webhooks.
type secretsFile struct {
	Webhooks []secretEntry `json:"webhooks"`
}

type secretEntry struct {
	ID     string             `json:"webhookId"`
	URL    string             `json:"url"`
	Events []facade.EventType `json:"events"`
	Secret string             `json:"signatureSecret"`
}

// readSecrets reads a file, which may be missing. Its entries stay until apply has
// succeeded, because the service may omit a secret later.
func readSecrets(ctx context.Context, path string) (*secretsFile, error) {
	data, err := readFile(ctx, path)
	if errors.Is(err, os.ErrNotExist) || err == nil && len(data) == 0 {
		return new(secretsFile), nil
	}
	if err != nil {
		return nil, err
	}
	s, err := parseSecrets(path, data)
	if err != nil {
		return nil, fmt.Errorf("%w; choose another name", err)
	}
	return s, nil
}

func parseSecrets(path string, data []byte) (*secretsFile, error) {
	s := new(secretsFile)
	err := json.Unmarshal(data, s)
	incomplete := func(e secretEntry) bool { return e.ID == "" || e.Secret == "" }
	if err == nil && (s.Webhooks == nil || slices.ContainsFunc(s.Webhooks, incomplete)) {
		err = errors.New("a webhookId or signatureSecret is missing") // for example the file of -f
	}
	if err != nil {
		return nil, fmt.Errorf("%s is not a file by apply --secrets-file: %w", path, err)
	}
	return s, nil
}

// add adds webhooks with a secret, or replaces their entries.
func (s *secretsFile) add(webhooks []*facade.Webhook) {
	for _, wh := range webhooks {
		if wh.SignatureSecret.IsZero() {
			continue
		}
		s.Webhooks = slices.DeleteFunc(s.Webhooks, func(e secretEntry) bool { return e.ID == wh.ID })
		s.Webhooks = append(s.Webhooks, secretEntry{wh.ID, wh.URL, wh.Events, wh.SignatureSecret.Reveal()})
	}
}

func (s *secretsFile) find(id string) (facade.Secret, bool) {
	i := slices.IndexFunc(s.Webhooks, func(e secretEntry) bool { return e.ID == id })
	if i < 0 {
		return facade.Secret{}, false
	}
	return facade.NewSecret(s.Webhooks[i].Secret), true
}

// complete removes the entries of other webhooks and gets the missing secrets.
func (s *secretsFile) complete(ctx context.Context, client *facade.Client, webhooks []*facade.Webhook) error {
	s.Webhooks = slices.DeleteFunc(s.Webhooks, func(e secretEntry) bool {
		return !slices.ContainsFunc(webhooks, func(wh *facade.Webhook) bool { return wh.ID == e.ID })
	})
	var failed error
	var omitted []string
	for _, wh := range webhooks {
		if _, ok := s.find(wh.ID); ok {
			continue
		}
		full, err := client.GetWebhook(ctx, wh.ID)
		switch {
		case err != nil:
			failed = join(failed, err)
		case full.SignatureSecret.IsZero():
			omitted = append(omitted, wh.ID)
		default:
			s.add([]*facade.Webhook{full})
		}
	}
	if len(omitted) > 0 {
		failed = join(failed, fmt.Errorf("the service omits the signature secret of %s; run apply again later", strings.Join(omitted, ", ")))
	}
	return failed
}

// write replaces the file. The entries are sorted by URL.
func (s *secretsFile) write(path string) error {
	slices.SortStableFunc(s.Webhooks, func(x, y secretEntry) int { return strings.Compare(x.URL, y.URL) })
	if s.Webhooks == nil {
		s.Webhooks = []secretEntry{}
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	file, err := createPrivate(path)
	if err != nil {
		return err
	}
	return file.commit(append(data, '\n'))
}
