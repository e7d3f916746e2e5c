package main

import (
	"bytes"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

// verdict is the output of verify. Check is the name of the failed check.
type verdict struct {
	Authentic bool   `json:"authentic"`
	Check     string `json:"check,omitempty"`
	Reason    string `json:"reason,omitempty"`
}

var errNotAuthentic = errors.New("the request is not authentic; the output names the failed check")

func (a *app) newVerify() *cobra.Command {
	var signature, bodyFlag string
	var secret secretInput
	cmd := &cobra.Command{
		Use:   "verify --signature SIGNATURE --body @FILE",
		Short: "Verify a captured request and explain a failure",
		Long: `Verify a captured request and explain a failure.

The signature is the ` + notification.HeaderSignature + ` header. The secret is the
one in --secret-file, in APIVIDEO_WEBHOOK_SECRET, or of the webhook with
--webhook-id, in this order. The exit code is 0 only for an authentic request.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := a.readBody(cmd.Context(), bodyFlag)
			if err != nil {
				return err
			}
			key, err := secret.find(cmd.Context(), a)
			if err != nil {
				return err
			}
			v := explain(strings.TrimSpace(signature), body, key)
			switch {
			case a.jsonOutput():
				a.printJSON(v)
			case v.Authentic:
				a.printf("authentic: the secret has signed these %d bytes", len(body))
			default:
				a.printf("not authentic: %s: %s", v.Check, v.Reason)
			}
			if !v.Authentic {
				return errNotAuthentic
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&signature, "signature", "", "`signature` of the request")
	cmd.Flags().StringVar(&bodyFlag, "body", "", "exact bytes of the request: `@file`, - for stdin, or a text")
	_ = cmd.MarkFlagRequired("signature") // the flag exists
	_ = cmd.MarkFlagRequired("body")      // the flag exists
	secret.addFlags(cmd)
	return cmd
}

// signatureLength is the number of hexadecimal digits of a signature.
const signatureLength = 64

// explain verifies a body and looks for the usual reasons of a failure.
func explain(signature string, body []byte, secret facade.Secret) verdict {
	signed := func(b []byte) bool {
		want := notification.Sign(b, secret)
		return subtle.ConstantTimeCompare([]byte(strings.ToLower(signature)), []byte(want)) == 1
	}
	failed := func(check, format string, args ...any) verdict {
		return verdict{Check: check, Reason: fmt.Sprintf(format, args...)}
	}
	if len(signature) != signatureLength {
		return failed("length", "the signature has %d characters instead of %d; copy the whole header", len(signature), signatureLength)
	}
	if _, err := hex.DecodeString(signature); err != nil {
		return failed("length", "the signature is not %d hexadecimal digits; copy the whole header", signatureLength)
	}
	if signed(body) {
		return verdict{Authentic: true}
	}
	if len(body) == 0 {
		return failed("length", "the body is empty; read it before a middleware does")
	}
	if trimmed := bytes.TrimRight(body, "\r\n"); len(trimmed) < len(body) && signed(trimmed) {
		return failed("trailing newline", "the signature matches without the newline at the end; verify the bytes as they arrived")
	}
	trimmed := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if signed(trimmed) {
		return failed("white space", "the signature matches without the white space around the body; verify the bytes as they arrived")
	}
	if !json.Valid(trimmed) {
		return failed("length", "the body of %d bytes is not complete JSON; it may be truncated", len(body))
	}
	if slices.ContainsFunc(encodings(trimmed), signed) {
		return failed("re-encoded JSON", "the signature matches another encoding of the same JSON; verify the bytes before they are parsed")
	}
	return failed("wrong secret", "neither the body nor a usual encoding of it matches; use the secret of this webhook, or the body was changed")
}

// fieldOrder is the order of fields in the notifications of the service.
var fieldOrder = []string{
	"type", "emittedAt", "liveStreamId", "videoId", "captionId", "summaryId",
	"encoding", "quality", "generationMode", "language",
}

// encodings returns other encodings of a JSON body, as a parser and an encoder on
// the way could have had them as input.
func encodings(body []byte) [][]byte {
	var compact bytes.Buffer
	if json.Compact(&compact, body) != nil {
		return nil
	}
	bases := [][]byte{compact.Bytes()}
	var fields map[string]string
	if json.Unmarshal(body, &fields) == nil {
		for _, order := range [][]string{fieldOrder, videoFirst} {
			bases = append(bases, encodeOrdered(fields, order))
		}
	}
	var all [][]byte
	for _, base := range bases {
		unescaped := unescape(base)
		all = append(all, base, unescaped, bytes.ReplaceAll(unescaped, []byte("/"), []byte(`\/`)))
	}
	return all
}

// videoFirst is the order in samples of video.encoding.quality.completed.
var videoFirst = []string{
	"type", "emittedAt", "videoId", "liveStreamId", "encoding", "quality",
	"captionId", "summaryId", "generationMode", "language",
}

// encodeOrdered returns a compact object with the known fields in order. It returns
// nil if there are others.
func encodeOrdered(values map[string]string, order []string) []byte {
	var fields []field
	for _, name := range order {
		if value, ok := values[name]; ok {
			fields = append(fields, field{name, value})
		}
	}
	if len(fields) != len(values) {
		return nil
	}
	return encodeFields(fields)
}
