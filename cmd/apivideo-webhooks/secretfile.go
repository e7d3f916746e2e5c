package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
)

// secretOutput prints a signature secret or writes the secret to a file.
type secretOutput struct {
	show bool
	path string
	file *privateFile
}

func (s *secretOutput) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&s.show, "show-secret", false, "print the signature secret")
	cmd.Flags().StringVar(&s.path, "secret-file", "", "write the signature secret to this `file`, with mode 0600")
}

func (s *secretOutput) needsSecret() bool { return s.show || s.path != "" }

// open creates the file, so that a webhook is created only if the secret can be
// stored. An existing file must have a secret, which the new one replaces.
func (s *secretOutput) open() (err error) {
	if s.path == "" || s.file != nil {
		return nil
	}
	if s.file, err = createPrivate(s.path); err != nil {
		return err
	}
	data, err := os.ReadFile(s.file.target)
	if len(data) > 0 {
		_, err = parseSecret(s.path, string(data))
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.discard()
		return fmt.Errorf("%w; choose another name", err)
	}
	return nil
}

func (s *secretOutput) discard() {
	if s.file != nil {
		s.file.discard()
	}
}

// print writes the webhook and the secret.
func (s *secretOutput) print(a *app, wh *facade.Webhook, view webhookJSON) error {
	if s.show {
		view.Secret = wh.SignatureSecret.Reveal()
	}
	err := s.store(wh) // before the output, which may be closed
	a.printWebhook(view)
	return err
}

// store writes the secret to the file, if there is one.
func (s *secretOutput) store(wh *facade.Webhook) error {
	if s.needsSecret() && wh.SignatureSecret.IsZero() {
		s.discard()
		return fmt.Errorf(`the service omits the signature secret of %s; run "apivideo-webhooks get %[1]s --show-secret" later`, wh.ID)
	}
	if err := s.open(); err != nil || s.file == nil {
		return err
	}
	return s.file.commit([]byte(wh.SignatureSecret.Reveal() + "\n"))
}

// parseSecret returns the secret in a text, which may have a newline at its end.
func parseSecret(source, text string) (facade.Secret, error) {
	words := strings.Fields(text)
	if len(words) != 1 || strings.HasPrefix(words[0], "{") { // JSON
		return facade.Secret{}, fmt.Errorf("%s must have one line, the signature secret", source)
	}
	return facade.NewSecret(words[0]), nil
}

// privateFile is a new file with mode 0600 that replaces another file in one step.
type privateFile struct {
	target string
	temp   *os.File
}

// createPrivate creates the file beside the target. A symbolic link stays.
func createPrivate(name string) (*privateFile, error) {
	target, err := filepath.EvalSymlinks(name)
	if errors.Is(err, os.ErrNotExist) {
		link, linkErr := os.Readlink(name)
		if linkErr == nil { // the target is missing
			if !filepath.IsAbs(link) {
				link = filepath.Join(filepath.Dir(name), link)
			}
			return createPrivate(link)
		}
		target, err = name, nil
	}
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(target); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file; choose another name for the secrets", name)
	}
	temp, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+"-*") // with mode 0600
	if err != nil {
		return nil, fmt.Errorf("%s cannot be written: %w", name, err)
	}
	return &privateFile{target, temp}, nil
}

func (f *privateFile) commit(content []byte) error {
	_, err := f.temp.Write(content)
	if err == nil {
		err = f.temp.Sync()
	}
	if err = join(err, f.temp.Close()); err == nil {
		err = os.Rename(f.temp.Name(), f.target)
	}
	if err != nil {
		return join(fmt.Errorf("%s cannot be written: %w", f.target, err), os.Remove(f.temp.Name()))
	}
	return nil
}

func (f *privateFile) discard() {
	_ = f.temp.Close()
	_ = os.Remove(f.temp.Name()) // the file has no content
}
