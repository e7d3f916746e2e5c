package facade_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
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

// printed is v under every verb and flag that package fmt knows, by the format.
func printed(v any) map[string]string {
	all := map[string]string{"Sprint": fmt.Sprint(v), "Sprintln": fmt.Sprintln(v)}
	for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "# ", "60", "-60", "060", "20.60", ".60", "[1]"} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspwz" {
			format := "%" + flags + string(verb)
			all[format] = fmt.Sprintf(format, v)
		}
	}
	return all
}

// leaks are the ways that a text, printed with format, shows a secret. The
// secret's first six bytes are enough, so that a part of it is found too.
func leaks(format, text, secret string) []string {
	head := []byte(secret[:6])
	forms := []string{
		string(head), url.QueryEscape(string(head)), url.PathEscape(string(head)), base64.StdEncoding.EncodeToString(head),
		hex.EncodeToString(head), fmt.Sprintf("%X", head), fmt.Sprintf("% x", head), fmt.Sprintf("% X", head), fmt.Sprintf("%# x", head), fmt.Sprintf("%# X", head),
		listed(fmt.Sprintf("%d", head)),
	}
	if strings.HasPrefix(format, "%") && !strings.ContainsAny(format, "Tp") {
		forms = append(forms, listed(fmt.Sprintf(format, head))) // as a part of a []byte
	}
	return slices.DeleteFunc(forms, func(form string) bool { return !strings.Contains(text, form) })
}

// listed are the elements of a slice that was printed, without what is around them.
func listed(slice string) string {
	slice = strings.TrimPrefix(strings.TrimPrefix(slice, "[]byte{"), "[]uint8{")
	return strings.TrimSuffix(strings.Trim(slice, "[]"), "}")
}

func assertNoLeak(t *testing.T, texts map[string]string, secrets ...string) {
	t.Helper()
	for how, text := range texts {
		for _, secret := range secrets {
			assert.Empty(t, leaks(how, text, secret), "%s: %s", how, text)
		}
	}
}

// What the tests below rely on: a string that isn't a Secret is found.
func TestLeaksAreFound(t *testing.T) {
	t.Parallel()
	for _, v := range []any{struct{ text string }{markedSecret}, []byte("<html>" + markedSecret)} {
		for how, text := range printed(v) {
			if how[0] != '%' || !strings.ContainsAny(how, "Tp") {
				assert.NotEmpty(t, leaks(how, text, markedSecret), "%s: %s", how, text)
			}
		}
	}
}

// The places in somebody's program that a Secret can be in. That fmt ignores
// methods on unexported fields is why these matter.
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

func places(s facade.Secret) map[string]any {
	p := &s
	return map[string]any{
		"alone":                        s,
		"by pointer":                   p,
		"by pointer to a pointer":      &p,
		"in an exported field":         exportedField{s},
		"in an exported field, by ptr": &exportedField{s},
		"in an unexported field":       unexportedField{s},
		"in an unexported field, ptr":  &unexportedField{s},
		"behind pointers in fields":    pointerFields{p, p},
		"behind pointers, by pointer":  &pointerFields{p, p},
		"embedded":                     embedded{s},
		"behind any in fields":         anyFields{s, s},
		"behind any in fields, ptr":    anyFields{p, &unexportedField{s}},
		"deep in unexported fields":    struct{ a struct{ b []unexportedField } }{struct{ b []unexportedField }{[]unexportedField{{s}}}},
		"in a slice":                   []facade.Secret{s, s},
		"in a slice of any":            []any{s, p, unexportedField{s}},
		"in a slice of pointers":       []*facade.Secret{p},
		"in an array":                  [1]facade.Secret{s},
		"in a map":                     map[string]facade.Secret{"k": s},
		"in a map of slices":           map[string][]unexportedField{"k": {{s}}},
		"in a map's key":               map[[1]*facade.Secret]int{{p}: 1},
		"in a type of one's own":       ownSecret(s),
		"as a reflect.Value":           reflect.ValueOf(s),
		"as a field's reflect.Value":   reflect.ValueOf(unexportedField{s}).Field(0),
	}
}

func TestSecretDoesNotPrint(t *testing.T) {
	t.Parallel()
	for name, v := range places(facade.NewSecret(markedSecret)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertNoLeak(t, printed(v), markedSecret)
		})
	}
}

func TestSecretPrintsAsRedacted(t *testing.T) {
	t.Parallel()
	s := facade.NewSecret(markedSecret)
	for how, text := range printed(s) {
		switch {
		case strings.HasSuffix(how, "T"):
			assert.Equal(t, "facade.Secret", strings.TrimSpace(strings.TrimLeft(text, "0")), how)
		case strings.HasSuffix(how, "p") || strings.HasSuffix(how, "w"):
			// fmt doesn't ask it; that nothing leaks is tested above
		default:
			assert.Equal(t, redacted, strings.TrimSpace(text), how)
		}
	}
	assert.Equal(t, "{[REDACTED]}", fmt.Sprint(exportedField{s}))
	assert.Equal(t, "{Secret:[REDACTED]}", fmt.Sprintf("%+v", exportedField{s}))
	assert.Equal(t, "map[k:[REDACTED]]", fmt.Sprint(map[string]facade.Secret{"k": s}))

	for how, text := range printed(facade.Secret{}) {
		if !strings.ContainsAny(how[len(how)-1:], "Tpw") {
			assert.Empty(t, strings.TrimSpace(text), "the zero Secret prints nothing under %s", how)
		}
	}
}

func TestSecretInLogs(t *testing.T) {
	t.Parallel()
	handlers := map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	}
	for kind, handler := range handlers {
		for name, v := range places(facade.NewSecret(markedSecret)) {
			t.Run(kind+"/"+name, func(t *testing.T) {
				t.Parallel()
				var buf bytes.Buffer
				logger := slog.New(handler(&buf))
				logger.Info("m", slog.Any("k", v))
				logger.Info("m", slog.Group("g", slog.Any("k", v)))
				logger.With(slog.Any("k", v)).WithGroup("g").Info("m", slog.Any("k", []any{v}))
				require.Equal(t, 3, strings.Count(buf.String(), "\n"))
				assertNoLeak(t, map[string]string{kind: buf.String()}, markedSecret)
			})
		}
		var buf bytes.Buffer
		slog.New(handler(&buf)).Info("m", slog.Any("marked", facade.NewSecret(markedSecret)), slog.Any("zero", facade.Secret{}))
		assert.Contains(t, buf.String(), redacted)
	}
}

func TestSecretInEncodings(t *testing.T) {
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

	buf, err := json.Marshal(doc)
	require.NoError(t, err)
	assert.JSONEq(t, `{"marked":"[REDACTED]","pointer":"[REDACTED]","zero":""}`, string(buf))

	buf, err = xml.Marshal(doc)
	require.NoError(t, err)
	assert.Equal(t, `<document attr="[REDACTED]"><marked>[REDACTED]</marked><pointer>[REDACTED]</pointer><zero></zero></document>`, string(buf))

	var out bytes.Buffer
	require.Error(t, gob.NewEncoder(&out).Encode(doc), "there is nothing in it that gob could send")
	assertNoLeak(t, map[string]string{"gob": out.String()}, markedSecret)

	out.Reset()
	require.NoError(t, template.Must(template.New("").Parse(`{{.}} {{.Marked}} {{printf "%x" .Marked}}`)).Execute(&out, doc))
	assert.Contains(t, out.String(), redacted)
	assertNoLeak(t, map[string]string{"template": out.String()}, markedSecret)

	for name, v := range places(s) {
		if buf, err := json.Marshal(v); err == nil {
			assertNoLeak(t, map[string]string{"JSON, " + name: string(buf)}, markedSecret)
		}
		if buf, err := xml.Marshal(v); err == nil {
			assertNoLeak(t, map[string]string{"XML, " + name: string(buf)}, markedSecret)
		}
	}
}

func TestSecretReveal(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a", " ", "\x00\xff", markedSecret, redacted} {
		s := facade.NewSecret(text)
		assert.Equal(t, text, s.Reveal())
		assert.Equal(t, text == "", s.IsZero())
		assert.Equal(t, facade.NewSecret(text), s, "equal by what they hold")
	}
	assert.Equal(t, facade.Secret{}, facade.NewSecret(""))
	assert.Empty(t, facade.Secret{}.Reveal())
}

func TestWebhooksCompareBySecret(t *testing.T) {
	t.Parallel()
	webhook := func(secret string) facade.Webhook {
		return facade.Webhook{ID: "w", URL: "https://example.com", CreatedAt: time.Unix(0, 0), SignatureSecret: facade.NewSecret(secret)}
	}
	assert.Equal(t, webhook("a"), webhook(string([]byte{'a'})))
	assert.NotEqual(t, webhook("a"), webhook("b"))
	assert.NotEqual(t, webhook("a"), webhook(""))
}

func TestSecret_Equal(t *testing.T) {
	t.Parallel()
	a, b := facade.NewSecret("a"), facade.NewSecret("b")
	assert.True(t, a.Equal(facade.NewSecret("a")))
	assert.False(t, a.Equal(b))
	assert.False(t, a.Equal(facade.NewSecret("aa")))
	assert.False(t, a.Equal(facade.Secret{}))
	assert.True(t, facade.Secret{}.Equal(facade.NewSecret("")))
	assert.True(t, cmp.Equal(a, facade.NewSecret("a")))
	assert.NotEqual(t, a, b)
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
	var wh facade.Webhook
	err = json.Unmarshal(stored, &wh)
	require.ErrorContains(t, err, "[REDACTED]")
	require.ErrorContains(t, err, "Reveal")
}

// Printers that use reflection see the memory of a secret.
func TestSecret_maskedInMemory(t *testing.T) {
	t.Parallel()
	const text = "sig_sec_0000000000000000000000"
	wh, other := webhookWithSecret(text), webhookWithSecret("another")
	type wrapped struct{ wh facade.Webhook }
	for name, printed := range map[string]string{
		"reflect":          strings.Join(stringsIn(reflect.ValueOf([]any{wh, &wrapped{wh}})), " "), // as spew and kr/pretty
		"cmp.Diff":         cmp.Diff(wh, other),
		"fmt":              fmt.Sprintf("%v %+v %#v %s", wrapped{wh}, &wrapped{wh}, wrapped{wh}, []any{wrapped{wh}}),
		"testify":          failure(func(t assert.TestingT) { assert.Equal(t, other, wh) }),
		"testify, wrapped": failure(func(t assert.TestingT) { assert.Equal(t, wrapped{other}, wrapped{wh}) }),
	} {
		assert.NotEmpty(t, printed, name)
		for _, leak := range leaks("%s", printed, text) {
			t.Errorf("%s: %s", name, leak)
		}
		assert.NotContains(t, printed, "sig_sec_", name)
	}
}

func webhookWithSecret(text string) facade.Webhook {
	return facade.Webhook{ID: "webhook_1", SignatureSecret: facade.NewSecret(text)}
}

// stringsIn returns all strings in v, also those of unexported fields.
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

// failure returns the message of a failing assertion.
func failure(assertion func(assert.TestingT)) string {
	var t failing
	assertion(&t)
	return string(t)
}

type failing string

func (f *failing) Errorf(format string, args ...any) { *f += failing(fmt.Sprintf(format, args...)) }

// All that the package hands out, printed in every way.
func TestNothingPrintsSecrets(t *testing.T) {
	t.Parallel()
	marked := strings.Replace(webhookJSON(1), "sig_sec_0", markedSecret, 1)
	status, contentType := http.StatusOK, "application/json"
	client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		body := marked
		if r.URL.Path == "/webhooks" {
			body = strings.Replace(listJSON(1, 100, 1), "sig_sec_0", markedSecret, 1)
		}
		_, _ = w.Write([]byte(body))
	})
	wh, err := client.GetWebhook(t.Context(), "w")
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(wh.SignatureSecret.Reveal(), markedSecret))
	page, err := client.ListWebhooks(t.Context(), facade.ListOptions{})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(page.Webhooks[0].SignatureSecret.Reveal(), markedSecret))

	low, ok := client.Raw().ClientInterface.(*gen.Client)
	require.True(t, ok)
	values := map[string]any{
		"a webhook": *wh, "a webhook by pointer": wh, "webhooks": []facade.Webhook{*wh}, "webhooks by pointer": []*facade.Webhook{wh},
		"a page": *page, "a page by pointer": page,
		"parameters": validParams, "list options": facade.ListOptions{Event: facade.EventVideoSourceRecorded},
		"the client": *client, "the client by pointer": client, "a client in a struct": struct{ c *facade.Client }{client},
		"the generated client": *client.Raw(), "the generated client by pointer": client.Raw(), "the low-level client": *low,
		"an option": facade.WithBaseURL("https://example.com"),
	}
	addError := func(name string, err error) {
		e := asError(t, err)
		values[name], values[name+", by value"], values[name+", in a struct"] = e, *e, struct{ err error }{e}
		values["what is behind "+name] = e.Unwrap()
	}
	status, marked = http.StatusOK, strings.Replace(marked, "webhook_", "\x00", 1)
	_, err = client.GetWebhook(t.Context(), "w")
	addError("a success that can't be decoded", err)
	status, marked = http.StatusCreated, "<html>"+marked
	_, err = client.CreateWebhook(t.Context(), validParams)
	addError("a create that is unconfirmed", err)
	status = http.StatusOK
	_, err = client.GetWebhook(t.Context(), "w")
	addError("HTML", err)
	marked = strings.Repeat(markedSecret, 11<<20/len(markedSecret))
	_, err = client.GetWebhook(t.Context(), "w")
	addError("a success that is too large", err)
	status, marked = http.StatusUnauthorized, "{}"
	addError("a refused key", client.DeleteWebhook(t.Context(), "w"))
	unreachable, err := facade.NewClient(testKey, once, facade.WithBaseURL("http://127.0.0.1:1"))
	require.NoError(t, err)
	addError("a transport that fails", unreachable.DeleteWebhook(t.Context(), "w"))

	basic := strings.TrimPrefix(basicKey, "Basic ")
	for name, v := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assertNoLeak(t, printed(v), markedSecret, testKey, basic)
			var buf bytes.Buffer
			slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", slog.Any("v", v))
			slog.New(slog.NewTextHandler(&buf, nil)).Info("m", slog.Any("v", v))
			assertNoLeak(t, map[string]string{"slog": buf.String()}, markedSecret, testKey, basic)
		})
	}
}

// Nor does anything that a client with tokens makes of a fault, or logs of it.
func TestNothingPrintsTokens(t *testing.T) {
	t.Parallel()
	const access, refresh = "mark-access-0123456789abcdef", "mark2refresh-0123456789abcdef"
	basic := strings.TrimPrefix(basicKey, "Basic ")
	list := append(faults(),
		fault{name: "an error that echoes its request", answer: func(w http.ResponseWriter, r *http.Request) {
			answer(http.StatusForbidden, fmt.Sprintf(`{"title":%q}`, r.Header.Get("Authorization")))(w, r)
		}},
		fault{name: "a panic on the other side", answer: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	)
	for _, f := range list {
		for _, auth := range []string{"basic", "bearer"} {
			t.Run(f.name+"/"+auth, func(t *testing.T) {
				t.Parallel()
				var logged syncBuffer
				logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				opts := []facade.Option{
					facade.WithLogger(logger),
					facade.WithRetry(facade.RetryPolicy{MaxAttempts: 2, MinDelay: time.Nanosecond, MaxDelay: time.Second}),
				}
				if auth == "bearer" {
					opts = append(opts, facade.WithTokenExchange())
				}
				client := newClient(t, func(w http.ResponseWriter, r *http.Request) {
					if strings.HasPrefix(r.URL.Path, "/auth/") {
						answer(http.StatusOK, `{"token_type":"Bearer","expires_in":3600,"access_token":"`+access+`","refresh_token":"`+refresh+`"}`)(w, r)
						return
					}
					f.answer(w, r)
				}, opts...)
				for _, op := range operations {
					err := op.call(t.Context(), client)
					if op.name == "delete" && f.success {
						require.NoError(t, err)
						continue
					}
					require.Error(t, err)
					logger.Error("failed", slog.Any("err", err))
					texts := map[string]string{"text": err.Error(), "%+v": fmt.Sprintf("%+v", err), "%q": fmt.Sprintf("%q", err), "%x": fmt.Sprintf("%x", err)}
					assertNoLeak(t, texts, testKey, basic, access, refresh)
				}
				assertNoLeak(t, map[string]string{"client": fmt.Sprintf("%+v %#v", client, client), "log": logged.String()}, testKey, basic, access, refresh)
				assert.Contains(t, logged.String(), "apivideo: request")
			})
		}
	}
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
