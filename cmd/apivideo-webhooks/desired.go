package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/apivideo-community/webhooks-go/facade"
)

// desiredFlags are the flags of plan and apply.
type desiredFlags struct {
	file, owns string
}

func (d *desiredFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&d.file, "file", "f", "", "JSON or YAML `file` with the desired webhooks, or - for stdin")
	cmd.Flags().StringVar(&d.owns, "owns", "", "delete other webhooks whose URL is below this `URL`")
	_ = cmd.MarkFlagRequired("file") // the flag exists
}

// desired is the content of a file.
type desired struct {
	Owns     string `yaml:"owns"`
	Webhooks []struct {
		URL    string   `yaml:"url"`
		Events []string `yaml:"events"`
	} `yaml:"webhooks"`
}

// plan compares the webhooks of the file with those of the account.
func (d *desiredFlags) plan(ctx context.Context, a *app, client *facade.Client) (*facade.Plan, error) {
	want, err := d.read(ctx, a)
	if err != nil {
		return nil, err
	}
	var opts facade.PlanOptions
	if want.Owns != "" {
		if opts.Owns, err = ownerOf(want.Owns); err != nil {
			return nil, fmt.Errorf("%s: owns %w", d.file, err)
		}
	}
	if d.owns != "" {
		if opts.Owns, err = ownerOf(d.owns); err != nil {
			return nil, usagef("--owns %w", err)
		}
	}
	params := make([]facade.CreateWebhookParams, len(want.Webhooks))
	for i, wh := range want.Webhooks {
		events, err := a.parseEvents(wh.Events)
		if err != nil {
			return nil, fmt.Errorf("%s: webhook %d: %w", d.file, i+1, err)
		}
		params[i] = facade.CreateWebhookParams{URL: wh.URL, Events: events}
	}
	plan, err := client.PlanWebhooks(ctx, params, opts)
	if errors.Is(err, facade.ErrInvalidArgument) {
		return nil, fmt.Errorf("%s: %w", d.file, err)
	}
	return plan, err
}

// read reads the file. A misspelled key is an error, because it could delete a webhook.
func (d *desiredFlags) read(ctx context.Context, a *app) (desired, error) {
	var want desired
	data, err := a.readInput(ctx, d.file)
	if err != nil {
		return want, err
	}
	var compact bytes.Buffer
	if json.Compact(&compact, data) == nil {
		data = unescape(compact.Bytes()) // YAML has no tabs between values and no \/
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	switch err := dec.Decode(&want); {
	case errors.Is(err, io.EOF):
		return want, fmt.Errorf("%s: the file is empty", d.file)
	case err != nil:
		return want, fmt.Errorf("%s: %w", d.file, err)
	case want.Webhooks == nil:
		return want, fmt.Errorf(`%s: "webhooks" is missing; to delete all, write "webhooks": []`, d.file)
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return want, fmt.Errorf("%s: the file has more than one document", d.file)
	}
	return want, nil
}

// ownerOf reports whether the URL of a webhook is prefix or below it. The prefix
// https://example.com/shop does not own https://example.com/shopping.
func ownerOf(prefix string) (func(*facade.Webhook) bool, error) {
	if u, err := url.Parse(prefix); err != nil || u.Scheme == "" || u.Host == "" {
		return nil, fmt.Errorf("%q is invalid; use an absolute URL such as https://hooks.example.com/shop/", redactURL(prefix))
	}
	return func(wh *facade.Webhook) bool {
		rest, ok := strings.CutPrefix(wh.URL, prefix)
		return ok && (rest == "" || strings.HasSuffix(prefix, "/") || strings.ContainsRune("/?#", rune(rest[0])))
	}, nil
}
