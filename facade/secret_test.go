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
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/gen"
)

const (
	markedSecret = "zq!kw sig_sec_marked"
	redacted     = "[REDACTED]"
)

// printed returns v printed with each verb and flag of package fmt, with slog and as
// JSON and XML.
func printed(v any) map[string]string {
	all := map[string]string{"Sprint": fmt.Sprint(v), "Sprintln": fmt.Sprintln(v)}
	for _, flags := range []string{"", "+", "#", "-", " ", "060", "20.60", "[1]"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspwz" {
			format := "%" + flags + string(verb)
			all[format] = fmt.Sprintf(format, v)
		}
	}
	var log bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&log, nil), slog.NewTextHandler(&log, nil)} {
		slog.New(handler).With(slog.Any("v", v)).WithGroup("g").Info("m", slog.Any("v", v), slog.Any("list", []any{v}))
	}
	all["slog"] = log.String()
	if encoded, err := json.Marshal(v); err == nil {
		all["JSON"] = string(encoded)
	}
	if encoded, err := xml.Marshal(v); err == nil {
		all["XML"] = string(encoded)
	}
	return all
}

// leaks returns a function that reports whether a text, printed with format, shows the
// first six bytes of secret.
func leaks(secret string) func(format, text string) bool {
	head := []byte(secret[:6])
	forms := []string{
		string(head), url.QueryEscape(string(head)), url.PathEscape(string(head)), base64.StdEncoding.EncodeToString(head),
		hex.EncodeToString(head), fmt.Sprintf("%X", head), fmt.Sprintf("% x", head), fmt.Sprintf("% X", head), fmt.Sprintf("%# x", head), fmt.Sprintf("%# X", head),
		elements(fmt.Sprintf("%d", head)),
	}
	return func(format, text string) bool {
		for _, form := range forms {
			if strings.Contains(text, form) {
				return true
			}
		}
		// The secret may also be a part of a []byte.
		return strings.HasPrefix(format, "%") && !strings.ContainsAny(format, "Tp") && strings.Contains(text, elements(fmt.Sprintf(format, head)))
	}
}

// elements returns the elements of a printed slice.
func elements(slice string) string {
	slice = strings.TrimPrefix(strings.TrimPrefix(slice, "[]byte{"), "[]uint8{")
	return strings.TrimSuffix(strings.Trim(slice, "[]"), "}")
}

func assertNoLeak(t *testing.T, name string, texts map[string]string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		leak := leaks(secret)
		for how, text := range texts {
			assert.False(t, leak(how, text), "%s, %s: %s", name, how, text)
		}
	}
}

// The tests below find a plain string.
func TestAssertNoLeak(t *testing.T) {
	t.Parallel()
	leak := leaks(markedSecret)
	for _, v := range []any{struct{ Text string }{markedSecret}, []byte("<html>" + markedSecret)} {
		for how, text := range printed(v) {
			if how[0] != '%' || !strings.ContainsAny(how, "Tp") {
				assert.True(t, leak(how, text), "%s: %s", how, text)
			}
		}
	}
}

// Package fmt ignores the methods of unexported fields.
type (
	exportedField   struct{ Secret facade.Secret }
	unexportedField struct{ secret facade.Secret }
	pointerFields   struct {
		Exported   *facade.Secret
		unexported *facade.Secret
	}
	embedded  struct{ facade.Secret }
	anyFields struct {
		Exported   any
		unexported any
	}
	ownSecret facade.Secret // has none of the methods
)

func TestSecret_isNotPrinted(t *testing.T) {
	t.Parallel()
	s := facade.NewSecret(markedSecret)
	p := &s
	for name, v := range map[string]any{
		"value":                    s,
		"pointer":                  p,
		"pointer to a pointer":     &p,
		"exported field":           exportedField{s},
		"exported field, ptr":      &exportedField{s},
		"unexported field":         unexportedField{s},
		"unexported field, ptr":    &unexportedField{s},
		"pointers in fields":       pointerFields{p, p},
		"pointers in fields, ptr":  &pointerFields{p, p},
		"embedded":                 embedded{s},
		"any in fields":            anyFields{s, s},
		"any in fields, ptr":       anyFields{p, &unexportedField{s}},
		"nested unexported fields": struct{ a struct{ b []unexportedField } }{struct{ b []unexportedField }{[]unexportedField{{s}}}},
		"slice":                    []facade.Secret{s, s},
		"slice of any":             []any{s, p, unexportedField{s}},
		"slice of pointers":        []*facade.Secret{p},
		"array":                    [1]facade.Secret{s},
		"map":                      map[string]facade.Secret{"k": s},
		"map of slices":            map[string][]unexportedField{"k": {{s}}},
		"key of a map":             map[[1]*facade.Secret]int{{p}: 1},
		"another type":             ownSecret(s),
		"reflect.Value":            reflect.ValueOf(s),
		"reflect.Value of a field": reflect.ValueOf(unexportedField{s}).Field(0),
	} {
		assertNoLeak(t, name, printed(v), markedSecret)
	}
}

func TestSecret_Format(t *testing.T) {
	t.Parallel()
	s := facade.NewSecret(markedSecret)
	for how, text := range printed(s) {
		switch {
		case how[0] != '%' && how[0] != 'S' || strings.HasSuffix(how, "p") || strings.HasSuffix(how, "w"):
		case strings.HasSuffix(how, "T"):
			assert.Equal(t, "facade.Secret", strings.TrimSpace(strings.TrimLeft(text, "0")), how)
		default:
			assert.Equal(t, redacted, strings.TrimSpace(text), how)
		}
	}
	assert.Equal(t, "{Secret:[REDACTED]}", fmt.Sprintf("%+v", exportedField{s}))
	assert.Equal(t, "map[k:[REDACTED]]", fmt.Sprint(map[string]facade.Secret{"k": s}))
	assert.Empty(t, fmt.Sprint(facade.Secret{}), "the zero Secret")
	assert.Empty(t, fmt.Sprintf("%d", facade.Secret{}))
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
	assert.Equal(t, `<document attr="[REDACTED]"><marked>[REDACTED]</marked><pointer>[REDACTED]</pointer><zero></zero></document>`, string(encoded))
	var out bytes.Buffer
	require.Error(t, gob.NewEncoder(&out).Encode(doc))
	require.NoError(t, template.Must(template.New("").Parse(`{{.}} {{.Marked}} {{printf "%x" .Marked}}`)).Execute(&out, doc))
	assert.Contains(t, out.String(), redacted)
	assertNoLeak(t, "gob and template", map[string]string{"": out.String()}, markedSecret)
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
	stored, err := json.Marshal(facade.Webhook{SignatureSecret: config.Secret})
	require.NoError(t, err)
	err = json.Unmarshal(stored, new(facade.Webhook))
	require.ErrorContains(t, err, "[REDACTED]")
	require.ErrorContains(t, err, "Reveal")
}

func TestSecret_Reveal(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a", " ", "\x00\xff", markedSecret, redacted, strings.Repeat("long", 50)} {
		s := facade.NewSecret(text)
		assert.Equal(t, text, s.Reveal())
		assert.Equal(t, text == "", s.IsZero())
	}
	assert.Equal(t, facade.Secret{}, facade.NewSecret(""))
}

func TestSecret_Equal(t *testing.T) {
	t.Parallel()
	webhook := func(secret string) facade.Webhook {
		return facade.Webhook{ID: "w", CreatedAt: time.Unix(0, 0), SignatureSecret: facade.NewSecret(secret)}
	}
	a := facade.NewSecret("a")
	assert.True(t, a.Equal(facade.NewSecret("a")))
	assert.True(t, facade.Secret{}.Equal(facade.NewSecret("")))
	assert.True(t, cmp.Equal(a, facade.NewSecret("a")))
	assert.Equal(t, webhook("a"), webhook(a.Reveal()))
	for _, other := range []string{"b", "aa", ""} {
		assert.False(t, a.Equal(facade.NewSecret(other)))
		assert.NotEqual(t, webhook("a"), webhook(other))
	}
}

// Printers that use reflection see the memory of a secret.
func TestSecret_maskedInMemory(t *testing.T) {
	t.Parallel()
	const text = "sig_sec_0000000000000000000000"
	type wrapped struct{ wh facade.Webhook }
	wh, other := facade.Webhook{SignatureSecret: facade.NewSecret(text)}, facade.Webhook{SignatureSecret: facade.NewSecret("another")}
	for name, printed := range map[string]string{
		"reflect":          strings.Join(stringsIn(reflect.ValueOf([]any{wh, &wrapped{wh}})), " "), // as spew and kr/pretty
		"cmp.Diff":         cmp.Diff(wh, other),
		"fmt":              fmt.Sprintf("%v %+v %#v %s", wrapped{wh}, &wrapped{wh}, wrapped{wh}, []any{wrapped{wh}}),
		"testify":          failure(func(t assert.TestingT) { assert.Equal(t, other, wh) }),
		"testify, wrapped": failure(func(t assert.TestingT) { assert.Equal(t, wrapped{other}, wrapped{wh}) }),
	} {
		assert.NotEmpty(t, printed, name)
		assertNoLeak(t, name, map[string]string{"%s": printed}, text)
		assert.NotContains(t, printed, "sig_sec_", name)
	}
}

// stringsIn returns all strings in v, also in unexported fields.
func stringsIn(v reflect.Value) []string {
	var all []string
	switch v.Kind() {
	case reflect.String:
		return []string{v.String()}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			return stringsIn(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = append(all, stringsIn(v.Index(i))...)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			all = append(all, stringsIn(v.Field(i))...)
		}
	}
	return all
}

// failure returns the message of a failed assertion.
func failure(assertion func(assert.TestingT)) string {
	var t failing
	assertion(&t)
	return string(t)
}

type failing string

func (f *failing) Errorf(format string, args ...any) { *f += failing(fmt.Sprintf(format, args...)) }

// No value of the package prints a secret or the API key.
func TestClient_printsNoSecrets(t *testing.T) {
	t.Parallel()
	webhook := strings.Replace(webhookJSON(1), "sig_sec_0", markedSecret, 1)
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/webhooks" {
			respond(http.StatusOK, pageJSON(webhook, 1, 100, 1, 1))(w, r)
			return
		}
		respond(http.StatusOK, webhook)(w, r)
	})
	wh, err := client.GetWebhook(t.Context(), "w")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(wh.SignatureSecret.Reveal(), markedSecret))
	page, err := client.ListWebhooks(t.Context(), facade.ListOptions{})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(page.Webhooks[0].SignatureSecret.Reveal(), markedSecret))
	low, ok := client.Raw().ClientInterface.(*gen.Client)
	require.True(t, ok)
	plan := newPlan()
	applied := facade.Applied{Created: plan.Keep, Deleted: plan.Delete, Remaining: *plan}
	values := map[string]any{
		"webhook": *wh, "webhook, ptr": wh, "webhooks": []facade.Webhook{*wh}, "webhooks, ptr": []*facade.Webhook{wh},
		"page": *page, "page, ptr": page, "plan": *plan, "plan, ptr": plan, "applied": applied, "applied, ptr": &applied,
		"client": *client, "client, ptr": client, "client in a struct": struct{ c *facade.Client }{client},
		"generated client": *client.Raw(), "generated client, ptr": client.Raw(), "low-level client": *low,
		"option": facade.WithBaseURL("https://example.com"),
	}
	tokens := newClient(t, new(tokenService).ServeHTTP, facade.WithTokenExchange())
	require.NoError(t, getWebhook(t.Context(), tokens))
	values["client with tokens"], values["client with tokens, ptr"] = *tokens, tokens
	for name, handler := range map[string]http.HandlerFunc{
		"invalid JSON": respond(200, strings.Replace(webhook, "webhook_", "\x00", 1)),
		"HTML":         respond(200, "<html>"+webhook),
		"401":          respond(401, "{}"),
		"closed":       abort,
	} {
		e := asError(t, createWebhook(t.Context(), newClient(t, handler)))
		values[name], values[name+", value"], values[name+" in a struct"], values["cause of "+name] = e, *e, struct{ err error }{e}, errors.Unwrap(e)
	}
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts := printed(v)
			assertNoLeak(t, name, texts, markedSecret, testKey, strings.TrimPrefix(basicKey, "Basic "))
			for _, text := range texts {
				assert.NotContains(t, text, "access1")
				assert.NotContains(t, text, "refresh1")
			}
		})
	}
}

// A credential at the place where a text is truncated is redacted as a whole.
func TestError_credentialAtTruncation(t *testing.T) {
	t.Parallel()
	const maxErrorBody = 64 << 10
	for n := range len(testKey) + 1 { // bytes of the key before the limit
		location := "https://h/" + strings.Repeat("x", 200-len("https://h/")-n) + testKey
		body := strings.Repeat("x", maxErrorBody-n) + testKey + "x"
		for name, handler := range map[string]http.HandlerFunc{
			"Location": respondWith(http.StatusFound, "", "Location", location),
			"body":     respond(http.StatusNotFound, body),
			"type":     respondWith(http.StatusOK, "<html>", "Content-Type", strings.Repeat("x", 200-n)+testKey),
		} {
			e := getError(t, handler)
			for _, text := range []string{e.Error(), string(e.Body)} {
				assert.NotContains(t, text, testKey[:8], "%s, %d", name, n)
			}
			assert.LessOrEqual(t, len(e.Body), maxErrorBody)
		}
	}
}

// Two masked secrets and one of the texts do not reveal the other text.
func TestSecret_maskOfEachText(t *testing.T) {
	t.Parallel()
	masked := func(text string) string {
		return reflect.ValueOf(facade.NewSecret(text)).Field(0).String()
	}
	xor := func(a, b string) string {
		c := make([]byte, len(a))
		for i := range c {
			c[i] = a[i] ^ b[i]
		}
		return string(c)
	}
	unhex := func(s string) string {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return string(b)
	}
	const a, b = "sig_sec_0000000000000000000000", "sig_sec_abcdefghijklmnopqrstuv"
	assert.Equal(t, masked(a), masked(string([]byte(a))))
	x, y := unhex(masked(a)), unhex(masked(b))
	require.Len(t, y, len(x))
	texts := xor(a, b)
	masks := xor(x[len(x)-len(a):], y[len(y)-len(b):])
	for i := range texts[:len(texts)-4] {
		assert.NotEqual(t, texts[i:i+4], masks[i:i+4])
	}
}
