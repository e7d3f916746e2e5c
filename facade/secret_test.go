package facade_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

const markedSecret = "zq!kw sig_sec_marked"

// printed returns v printed with each verb and flag of package fmt, with slog and as
// JSON and XML.
func printed(v any) map[string]string {
	all := make(map[string]string)
	for _, flags := range []string{"", "+", "#", "-", " ", "060", "20.60", "[1]"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspz" {
			format := "%" + flags + string(verb)
			all[format] = fmt.Sprintf(format, v)
		}
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(handler).With(slog.Any("v", v)).WithGroup("g").Info("m", slog.Any("v", v), slog.Any("list", []any{v}))
	}
	all["slog"] = log.String()
	for name, marshal := range map[string]func(any) ([]byte, error){"JSON": json.Marshal, "XML": xml.Marshal} {
		if encoded, err := marshal(v); err == nil {
			all[name] = string(encoded)
		}
	}
	return all
}

// leaks returns the texts, by format, that show the first six bytes of a secret.
func leaks(texts map[string]string, secrets ...string) map[string]string {
	elements := strings.NewReplacer("[]byte{", "", "[", "", "]", "", "}", "") // of a printed slice
	found := make(map[string]string)
	for _, secret := range secrets {
		head := []byte(secret[:6])
		text := string(head)
		forms := []string{text, url.QueryEscape(text), url.PathEscape(text), base64.StdEncoding.EncodeToString(head)}
		for _, format := range []string{"%x", "%X", "% x", "% X", "%# x", "%# X", "%d"} {
			forms = append(forms, elements.Replace(fmt.Sprintf(format, head)))
		}
		for format, text := range texts {
			all := forms
			if strings.HasPrefix(format, "%") && !strings.ContainsAny(format, "Tp") {
				all = append(slices.Clone(forms), elements.Replace(fmt.Sprintf(format, head)))
			}
			if slices.ContainsFunc(all, func(form string) bool { return strings.Contains(text, form) }) {
				found[format] = text
			}
		}
	}
	return found
}

// The tests below find a plain text in each format but %T and %p.
func TestLeaks(t *testing.T) {
	t.Parallel()
	for _, v := range []any{struct{ Text string }{markedSecret}, []byte("<html>" + markedSecret)} {
		texts := printed(v)
		found := leaks(texts, markedSecret)
		for format := range texts {
			if !strings.ContainsAny(format, "Tp") {
				assert.NotEmpty(t, found[format], format)
			}
		}
	}
}

// Package fmt ignores the methods of unexported fields.
func TestSecret_isNotPrinted(t *testing.T) {
	t.Parallel()
	type ownSecret facade.Secret // without the methods
	type embedded struct{ facade.Secret }
	type fields struct {
		Exported, unexported facade.Secret
		Pointer, pointer     *facade.Secret
		Any, any             any
		Slice, slice         []facade.Secret
		Map, inMap           map[string]facade.Secret
	}
	s := facade.NewSecret(markedSecret)
	p, slice, inMap := &s, []facade.Secret{s, s}, map[string]facade.Secret{"k": s}
	all := fields{s, s, p, p, s, p, slice, slice, inMap, inMap}
	for _, v := range []any{
		s, p, &p, all, &all,
		[]any{all, &all, map[string][]fields{"k": {all}}},
		slice,
		[1]facade.Secret{s},
		map[[1]facade.Secret]*facade.Secret{{s}: p},
		embedded{s},
		ownSecret(s), reflect.ValueOf(s), reflect.ValueOf(all).Field(1),
	} {
		assert.Empty(t, leaks(printed(v), markedSecret), "%T", v)
	}
}

func TestSecret_Format(t *testing.T) {
	t.Parallel()
	const redacted = "[REDACTED]"
	s := facade.NewSecret(markedSecret)
	for format, text := range printed(s) {
		if strings.HasPrefix(format, "%") && !strings.ContainsAny(format, "Tp") {
			assert.Equal(t, redacted, text, format)
		}
	}
	assert.Equal(t, "{Secret:[REDACTED]}", fmt.Sprintf("%+v", struct{ Secret any }{s}))
	assert.Equal(t, "map[k:[REDACTED]]", fmt.Sprint(map[string]facade.Secret{"k": s}))
	assert.Empty(t, fmt.Sprintf("%v%d", facade.Secret{}, facade.Secret{}), "the zero Secret")
}

func TestSecret_MarshalText(t *testing.T) {
	t.Parallel()
	s := facade.NewSecret(markedSecret)
	type document struct {
		Marked  facade.Secret  `json:"marked" xml:"marked"`
		Attr    facade.Secret  `json:"-" xml:"attr,attr"`
		Pointer *facade.Secret `json:"pointer" xml:"pointer"`
		Zero    facade.Secret  `json:"zero" xml:"zero"`
		Absent  facade.Secret  `json:"absent,omitzero" xml:"-"`
	}
	doc := document{Marked: s, Attr: s, Pointer: &s}
	encoded, err := json.Marshal(doc)
	require.NoError(t, err)
	assert.JSONEq(t, `{"marked":"[REDACTED]","pointer":"[REDACTED]","zero":""}`, string(encoded))
	encoded, err = xml.Marshal(doc)
	require.NoError(t, err)
	const want = `<document attr="[REDACTED]"><marked>[REDACTED]</marked><pointer>[REDACTED]</pointer><zero></zero></document>`
	assert.Equal(t, want, string(encoded))
	var out bytes.Buffer
	require.Error(t, gob.NewEncoder(&out).Encode(doc))
	require.NoError(t, template.Must(template.New("").Parse(`{{.}} {{.Marked}} {{printf "%x" .Marked}}`)).Execute(&out, doc))
	assert.Contains(t, out.String(), "[REDACTED]")
	assert.Empty(t, leaks(map[string]string{"gob and template": out.String()}, markedSecret))
}

func TestSecret_UnmarshalText(t *testing.T) {
	t.Parallel()
	var config struct {
		Secret facade.Secret `json:"secret"`
		Empty  facade.Secret `json:"empty"`
	}
	require.NoError(t, json.Unmarshal([]byte(`{"secret":"sig_sec_1","empty":""}`), &config))
	assert.Equal(t, "sig_sec_1", config.Secret.Reveal())
	assert.True(t, config.Empty.IsZero())
	stored, err := json.Marshal(config)
	require.NoError(t, err)
	err = json.Unmarshal(stored, &config)
	require.ErrorContains(t, err, "[REDACTED] is the placeholder of a secret; store the result of Secret.Reveal")
}

func TestSecret_Reveal(t *testing.T) {
	t.Parallel()
	texts := []string{"", "a", "b", "aa", " ", "\x00\xff", markedSecret, "[REDACTED]", strings.Repeat("long", 50)}
	for _, text := range texts {
		s := facade.NewSecret(text)
		assert.Equal(t, text, s.Reveal())
		assert.Equal(t, text == "", s.IsZero())
		assert.Equal(t, text == "", s == facade.Secret{})
		for _, other := range texts {
			o := facade.NewSecret(strings.Clone(other))
			assert.Equal(t, text == other, s.Equal(o))
			assert.Equal(t, text == other, s == o)
			assert.Equal(t, text == other, cmp.Equal(s, o))
		}
	}
}

// maskedText returns the memory of a secret, which printers with reflection see.
func maskedText(s facade.Secret) string { return reflect.ValueOf(s).Field(0).String() }

func TestSecret_maskedInMemory(t *testing.T) {
	t.Parallel()
	const text = "sig_sec_0000000000000000000000"
	s := facade.NewSecret(text)
	assert.Equal(t, 1, reflect.TypeOf(s).NumField())
	texts := map[string]string{"memory": maskedText(s), "cmp": cmp.Diff(s, facade.NewSecret("another"))}
	assert.NotEmpty(t, texts["cmp"])
	assert.Empty(t, leaks(texts, text))
}

// Two masked secrets and one of the texts do not reveal the other text, because each text
// has another keystream.
func TestSecret_maskOfEachText(t *testing.T) {
	t.Parallel()
	const a, b = "sig_sec_0000000000000000000000", "sig_sec_abcdefghijklmnopqrstuv"
	masked := func(text string) []byte {
		all, err := hex.DecodeString(maskedText(facade.NewSecret(text)))
		require.NoError(t, err)
		return all[len(all)-len(text):]
	}
	x, y, equal := masked(a), masked(b), 0
	for i := range len(a) {
		if x[i]^y[i] == a[i]^b[i] {
			equal++
		}
	}
	assert.Less(t, equal, 8, "of 30 bytes, by chance")
}

// No value of the package prints a secret, a token or the API key.
func TestClient_printsNoSecrets(t *testing.T) {
	t.Parallel()
	webhook := strings.Replace(webhookJSON(1), "sig_sec_0", markedSecret, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/auth/"):
			respond(200, `{"token_type":"Bearer","access_token":"access-marked","refresh_token":"refresh-marked"}`)(w, r)
		case r.URL.Path == "/webhooks":
			respond(200, pageJSON(webhook, 1, 100, 1, 1))(w, r)
		default:
			respond(200, webhook)(w, r)
		}
	}
	client, tokens := newClient(t, handler), newClient(t, handler, facade.WithTokenExchange())
	wh, err := tokens.GetWebhook(t.Context(), "w")
	require.NoError(t, err)
	page, err := client.ListWebhooks(t.Context(), facade.ListOptions{})
	require.NoError(t, err)
	require.Contains(t, wh.SignatureSecret.Reveal(), markedSecret)
	assert.Equal(t, wh, page.Webhooks[0])
	raw, plan := client.Raw(), newPlan()
	low, ok := raw.ClientInterface.(*gen.Client)
	require.True(t, ok)
	applied := facade.Applied{Created: plan.Keep, Deleted: plan.Delete, Remaining: *plan}
	values := []any{
		*wh, wh,
		[]facade.Webhook{*wh},
		[]*facade.Webhook{wh},
		*page, page, *plan, plan, applied, &applied,
		*client, client,
		struct{ c *facade.Client }{client},
		*tokens, tokens, *raw, raw, *low, facade.WithBaseURL("https://h"),
	}
	for _, handler := range []http.HandlerFunc{
		respond(200, strings.Replace(webhook, "webhook_", "\x00", 1)), // invalid JSON
		respond(200, "<html>"+webhook), respond(401, "{}"), abort,
	} {
		e := asError(t, createWebhook(t.Context(), newClient(t, handler)))
		values = append(values, e, *e, struct{ err error }{e}, errors.Unwrap(e))
	}
	secrets := []string{markedSecret, testKey, strings.TrimPrefix(basicKey, "Basic "), "access-marked", "refresh-marked"}
	for i, v := range values {
		t.Run(fmt.Sprintf("%d %T", i, v), func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, leaks(printed(v), secrets...))
		})
	}
}
