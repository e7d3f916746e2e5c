// Package gen_test checks properties of the generated code that depend on the
// configuration of the generator.
package gen_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/apivideo-community/webhooks-go/gen"
	"github.com/apivideo-community/webhooks-go/internal/contract"
)

const (
	host    = "https://ws.api.video"
	webhook = `{"webhookId":"webhook_4XbQpGz7mWkT2nVr8sYcLd"}`
	id      = "webhook_4XbQpGz7mWkT2nVr8sYcLd"
)

// The prefix separates an enum value from the schema of the same name.
var (
	_ gen.EventType           = gen.EventTypeVideoSourceRecorded
	_ gen.VideoSourceRecorded = gen.VideoSourceRecorded{}
)

var rateLimitHeaders = []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Retry-After"}

// newClient returns a client of a server that always sends the same response.
func newClient(t *testing.T, status int, header http.Header, body string) *gen.ClientWithResponses {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for name, values := range header {
			for _, value := range values {
				w.Header().Add(name, value)
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	client, err := gen.NewClientWithResponses(server.URL, gen.WithHTTPClient(server.Client()))
	require.NoError(t, err)
	return client
}

func TestEventType_prefixedValues(t *testing.T) {
	t.Parallel()
	tests := map[gen.EventType]string{
		gen.EventTypeLiveStreamBroadcastStarted:    "live-stream.broadcast.started",
		gen.EventTypeLiveStreamBroadcastEnded:      "live-stream.broadcast.ended",
		gen.EventTypeVideoSourceRecorded:           "video.source.recorded",
		gen.EventTypeVideoEncodingQualityCompleted: "video.encoding.quality.completed",
		gen.EventTypeVideoCaptionGenerated:         "video.caption.generated",
		gen.EventTypeVideoSummaryGenerated:         "video.summary.generated",
	}
	for value, name := range tests {
		assert.Equal(t, name, string(value))
	}
	assert.Len(t, contract.Load(t).Components.Schemas["EventType"].Value.Enum, len(tests))
}

// TestNotification_decodesExamples also checks that the generator keeps the
// notification models although no operation uses them.
func TestNotification_decodesExamples(t *testing.T) {
	t.Parallel()
	tests := map[string]any{
		"live-stream.broadcast.started":    gen.LiveStreamBroadcastStarted{},
		"live-stream.broadcast.ended":      gen.LiveStreamBroadcastEnded{},
		"video.source.recorded":            gen.VideoSourceRecorded{},
		"video.encoding.quality.completed": gen.VideoEncodingQualityCompleted{},
		"video.caption.generated":          gen.VideoCaptionGenerated{},
		"video.summary.generated":          gen.VideoSummaryGenerated{},
	}
	webhooks := contract.Load(t).Webhooks
	require.Len(t, webhooks, len(tests))
	for event, want := range tests {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			examples := webhooks[event].Post.RequestBody.Value.Content["application/json"].Examples
			require.NotEmpty(t, examples)
			for name, example := range examples {
				body, err := json.Marshal(example.Value.Value)
				require.NoError(t, err, name)
				var notification gen.Notification
				require.NoError(t, json.Unmarshal(body, &notification), name)

				discriminator, err := notification.Discriminator()
				require.NoError(t, err, name)
				assert.Equal(t, event, discriminator, name)

				got, err := notification.ValueByDiscriminator()
				require.NoError(t, err, name)
				assert.IsType(t, want, got, name)
				assert.Equal(t, fields(t, example.Value.Value), fields(t, got), name)
			}
		})
	}
}

// fields returns the JSON fields of a notification.
func fields(t *testing.T, notification any) map[string]any {
	t.Helper()
	text, err := json.Marshal(notification)
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	return object
}

func TestNotification_unknownType(t *testing.T) {
	t.Parallel()
	const body = `{"type":"video.new","emittedAt":"2024-08-08T14:12:18+00:00"}`
	var notification gen.Notification
	require.NoError(t, json.Unmarshal([]byte(body), &notification))
	_, err := notification.ValueByDiscriminator()
	require.ErrorContains(t, err, "video.new")
	got, err := json.Marshal(notification)
	require.NoError(t, err)
	assert.JSONEq(t, body, string(got))
}

func TestNewListWebhooksRequest_query(t *testing.T) {
	t.Parallel()
	event := gen.EventType("video.new")
	zero, two, hundred := 0, 2, 100
	tests := map[string]struct {
		params *gen.ListWebhooksParams
		want   string
	}{
		"no parameters":    {nil, ""},
		"empty parameters": {&gen.ListWebhooksParams{}, ""},
		"event":            {&gen.ListWebhooksParams{Events: &event}, "events=video.new"},
		"page":             {&gen.ListWebhooksParams{CurrentPage: &two}, "currentPage=2"},
		"page size":        {&gen.ListWebhooksParams{PageSize: &hundred}, "pageSize=100"},
		"page 0":           {&gen.ListWebhooksParams{CurrentPage: &zero}, "currentPage=0"},
		"all parameters":   {&gen.ListWebhooksParams{Events: &event, CurrentPage: &two, PageSize: &hundred}, "events=video.new&currentPage=2&pageSize=100"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			req, err := gen.NewListWebhooksRequest(host, test.params)
			require.NoError(t, err)
			assert.Equal(t, test.want, req.URL.RawQuery)
			assert.Equal(t, "/webhooks", req.URL.EscapedPath())
		})
	}
}

// The headers are strings in Go. As numbers, a malformed header would turn a
// successful response into an error.
func TestRateLimitHeaders_malformed(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"fraction":         "12.5",
		"empty":            "",
		"word":             "abc",
		"invalid escape":   "%zz",
		"valid escape":     "%34%32",
		"two values":       "1,2",
		"open brace":       "{",
		"negative number":  "-1",
		"integer overflow": "99999999999999999999",
		"long value":       strings.Repeat("9", 8000),
		"beyond ASCII":     "zwölf",
	}
	for _, name := range rateLimitHeaders {
		for kind, value := range values {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				header := http.Header{name: {value}}
				assertHeaders := func(limit, remaining, retryAfter *string) {
					t.Helper()
					for i, got := range []*string{limit, remaining, retryAfter} {
						if rateLimitHeaders[i] != name {
							assert.Nil(t, got, rateLimitHeaders[i])
						} else if assert.NotNil(t, got) {
							assert.Equal(t, value, *got)
						}
					}
				}

				created, err := newClient(t, http.StatusCreated, header, webhook).CreateWebhookWithResponse(t.Context(), gen.WebhookCreation{})
				require.NoError(t, err)
				require.NotNil(t, created.JSON201)
				assert.Equal(t, id, created.JSON201.WebhookID)
				assertHeaders(created.Headers201.XRateLimitLimit, created.Headers201.XRateLimitRemaining, created.Headers201.XRateLimitRetryAfter)

				rejected, err := newClient(t, http.StatusTooManyRequests, header, `{"title":"Too many requests."}`).CreateWebhookWithResponse(t.Context(), gen.WebhookCreation{})
				require.NoError(t, err)
				require.NotNil(t, rejected.JSON429)
				assert.Equal(t, "Too many requests.", rejected.JSON429.Title)
				assertHeaders(rejected.Headers429.XRateLimitLimit, rejected.Headers429.XRateLimitRemaining, rejected.Headers429.XRateLimitRetryAfter)

				list, err := newClient(t, http.StatusOK, header, `{"data":[`+webhook+`],"pagination":{}}`).ListWebhooksWithResponse(t.Context(), nil)
				require.NoError(t, err)
				require.NotNil(t, list.JSON200)
				require.Len(t, list.JSON200.Data, 1)
				assert.Equal(t, id, list.JSON200.Data[0].WebhookID)
				assertHeaders(list.Headers200.XRateLimitLimit, list.Headers200.XRateLimitRemaining, list.Headers200.XRateLimitRetryAfter)
			})
		}
	}
}

// openapi.yaml has `EventType or any string` in some schemas and a constant in
// others. Without the overlay the generator would declare a type for each.
func TestEventType_onlyTypeOfEvents(t *testing.T) {
	t.Parallel()
	want := reflect.TypeFor[gen.EventType]()
	tests := map[string]struct {
		model reflect.Type
		field string
	}{
		"events of a webhook":                   {reflect.TypeFor[gen.Webhook](), "Events"},
		"events of a creation":                  {reflect.TypeFor[gen.WebhookCreation](), "Events"},
		"events parameter of a list":            {reflect.TypeFor[gen.ListWebhooksParams](), "Events"},
		"type of LiveStreamBroadcastStarted":    {reflect.TypeFor[gen.LiveStreamBroadcastStarted](), "Type"},
		"type of LiveStreamBroadcastEnded":      {reflect.TypeFor[gen.LiveStreamBroadcastEnded](), "Type"},
		"type of VideoSourceRecorded":           {reflect.TypeFor[gen.VideoSourceRecorded](), "Type"},
		"type of VideoEncodingQualityCompleted": {reflect.TypeFor[gen.VideoEncodingQualityCompleted](), "Type"},
		"type of VideoCaptionGenerated":         {reflect.TypeFor[gen.VideoCaptionGenerated](), "Type"},
		"type of VideoSummaryGenerated":         {reflect.TypeFor[gen.VideoSummaryGenerated](), "Type"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			field, ok := test.model.FieldByName(test.field)
			require.True(t, ok)
			got := field.Type
			if got.Kind() == reflect.Slice || got.Kind() == reflect.Pointer {
				got = got.Elem()
			}
			assert.Equal(t, want, got)
		})
	}
	assert.Equal(t, reflect.String, want.Kind())
}

func TestInterfaces_methodPerOperation(t *testing.T) {
	t.Parallel()
	server := reflect.TypeFor[gen.ServerInterface]()
	var names []string
	for i := range server.NumMethod() {
		names = append(names, server.Method(i).Name)
	}
	assert.ElementsMatch(t, []string{
		"CreateWebhook", "GetWebhook", "DeleteWebhook", "ListWebhooks",
		"CreateAccessToken", "RefreshAccessToken",
	}, names)

	for _, name := range names {
		for _, iface := range []reflect.Type{
			reflect.TypeFor[gen.StrictServerInterface](),
			reflect.TypeFor[gen.ClientInterface](),
		} {
			_, ok := iface.MethodByName(name)
			assert.True(t, ok, "%s.%s", iface.Name(), name)
		}
		_, ok := reflect.TypeFor[gen.ClientWithResponsesInterface]().MethodByName(name + "WithResponse")
		assert.True(t, ok, name)
	}
}

// A generated receiver would accept notifications without a valid signature.
func TestNotifications_onlyModels(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.gen.go")
	require.NoError(t, err)
	require.Len(t, files, 3)
	var types []string
	for _, file := range files {
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(source, func(node ast.Node) bool {
			if spec, ok := node.(*ast.TypeSpec); ok {
				types = append(types, spec.Name.Name)
			}
			return true
		})
	}
	assert.Contains(t, types, "Notification")
	for _, name := range types {
		assert.NotContains(t, name, "Initiator")
		assert.NotContains(t, name, "Receiver")
		assert.NotContains(t, name, "NotifyVideo")
	}
}

// The path of an empty ID, "." or ".." belongs to another route. A caller of the
// raw client has to reject these IDs.
func TestNewGetWebhookRequest_path(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ id, want string }{
		"empty":               {"", "/webhooks/"},
		"one dot":             {".", "/webhooks/"},
		"two dots":            {"..", "/"},
		"slash":               {"a/b", "/webhooks/a%2Fb"},
		"dots before a slash": {"../auth", "/webhooks/..%2Fauth"},
		"question mark":       {"a?b", "/webhooks/a%3Fb"},
		"fragment":            {"a#b", "/webhooks/a%23b"},
		"escaped dots":        {"%2e%2e", "/webhooks/%252e%252e"},
		"space":               {" ", "/webhooks/%20"},
		"three dots":          {"...", "/webhooks/..."},
		"beyond ASCII":        {"ä", "/webhooks/%C3%A4"},
		"valid ID":            {id, "/webhooks/" + id},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for method, request := range map[string]func(string, string) (*http.Request, error){
				http.MethodGet:    gen.NewGetWebhookRequest,
				http.MethodDelete: gen.NewDeleteWebhookRequest,
			} {
				req, err := request(host, test.id)
				require.NoError(t, err, method)
				assert.Equal(t, method, req.Method)
				assert.Equal(t, host+test.want, req.URL.String(), method)
			}
		})
	}
}

func TestWebhook_decode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want gen.Webhook
	}{
		"only an ID": {
			`{"webhookId":"w"}`,
			gen.Webhook{WebhookID: "w"},
		},
		"null fields": {
			`{"webhookId":"w","createdAt":null,"events":null,"url":null,"signatureSecret":null}`,
			gen.Webhook{WebhookID: "w"},
		},
		"unknown event": {
			`{"webhookId":"w","events":["video.new","video.source.recorded"]}`,
			gen.Webhook{WebhookID: "w", Events: []gen.EventType{"video.new", gen.EventTypeVideoSourceRecorded}},
		},
		"unknown field": {
			`{"webhookId":"w","url":"https://a.example","color":"red"}`,
			gen.Webhook{WebhookID: "w", URL: "https://a.example"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got gen.Webhook
			require.NoError(t, json.Unmarshal([]byte(test.body), &got))
			assert.Equal(t, test.want, got)
		})
	}
}

// A malformed time, as in the published samples, must not fail the event.
func TestEmittedAt_decode(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2021-01-29T16:46:25.217+01:00", "2024-08-08T14:12:18+00:00", "2024-08-151T10:18:47+00:00", ""} {
		var emitted gen.VideoSummaryGenerated
		require.NoError(t, json.Unmarshal([]byte(`{"emittedAt":"`+text+`"}`), &emitted))
		assert.Equal(t, text, emitted.EmittedAt)
	}
}

func TestPagination_decodeLinks(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, want string }{
		"array":   {`{"currentPage":1,"links":[{"rel":"self","uri":"/webhooks"}]}`, `[{"rel":"self","uri":"/webhooks"}]`},
		"object":  {`{"currentPage":1,"links":{"self":{"uri":"/webhooks"}}}`, `{"self":{"uri":"/webhooks"}}`},
		"null":    {`{"currentPage":1,"links":null}`, `null`},
		"string":  {`{"currentPage":1,"links":"/webhooks"}`, `"/webhooks"`},
		"missing": {`{"currentPage":1}`, ``},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got gen.Pagination
			require.NoError(t, json.Unmarshal([]byte(test.body), &got))
			assert.InDelta(t, 1, got.CurrentPage, 0)
			assert.Equal(t, test.want, string(got.Links))
		})
	}
}

func TestError_decode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want gen.Error
	}{
		"empty object":                        {`{}`, gen.Error{}},
		"null name":                           {`{"name":null,"status":404}`, gen.Error{Status: 404}},
		"empty name":                          {`{"name":"","status":404}`, gen.Error{Status: 404}},
		"problem with its title under events": {`{"problems":[{"events":"This attribute must be an array.","name":null}]}`, gen.Error{Problems: []gen.ErrorProblem{{Events: "This attribute must be an array."}}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got gen.Error
			require.NoError(t, json.Unmarshal([]byte(test.body), &got))
			assert.Equal(t, test.want, got)
		})
	}
}

func TestModels_omitUnsetFields(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		model any
		want  string
	}{
		"webhook without a date": {gen.Webhook{WebhookID: "w"}, `{"webhookId":"w"}`},
		"page without links":     {gen.Pagination{}, `{"currentPage":0,"currentPageItems":0,"itemsTotal":0,"pageSize":0,"pagesTotal":0}`},
		"empty error":            {gen.Error{}, `{}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := json.Marshal(test.model)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got))
		})
	}
}
