// Package gen_test pins what the generated code does where the generator has
// done otherwise, or could.
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
	"time"

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

// The value of an enum and the schema of the same name are two Go names, which
// the prefix of the value keeps apart.
var (
	_ gen.EventType           = gen.EventTypeVideoSourceRecorded
	_ gen.VideoSourceRecorded = gen.VideoSourceRecorded{}
)

var rateLimitHeaders = []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Retry-After"}

// newClient returns a client whose server always answers the same.
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

func TestEnumValuesArePrefixed(t *testing.T) {
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
		assert.True(t, value.Valid())
	}
	assert.Len(t, contract.Load(t).Components.Schemas["EventType"].Value.Enum, len(tests))
}

// No operation uses the models of notifications, so that the generator would
// prune them.
func TestNotificationsDecodeByTheirType(t *testing.T) {
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
				assert.Equal(t, members(t, example.Value.Value), members(t, got), "%s: every member has its field", name)
			}
		})
	}
}

// members returns what a notification marshals to, its instant in UTC.
func members(t *testing.T, notification any) map[string]any {
	t.Helper()
	text, err := json.Marshal(notification)
	require.NoError(t, err)
	var object map[string]any
	require.NoError(t, json.Unmarshal(text, &object))
	instant, _ := object["emittedAt"].(string)
	emittedAt, err := time.Parse(time.RFC3339, instant)
	require.NoError(t, err)
	object["emittedAt"] = emittedAt.UTC()
	return object
}

func TestANotificationOfTomorrowIsKeptButHasNoModel(t *testing.T) {
	t.Parallel()
	const body = `{"type":"video.new","emittedAt":"2024-08-08T14:12:18+00:00"}`
	var notification gen.Notification
	require.NoError(t, json.Unmarshal([]byte(body), &notification))
	_, err := notification.ValueByDiscriminator()
	require.ErrorContains(t, err, "video.new")
	kept, err := json.Marshal(notification)
	require.NoError(t, err)
	assert.JSONEq(t, body, string(kept))
}

func TestAListRequestSendsOnlyWhatIsSet(t *testing.T) {
	t.Parallel()
	event := gen.EventType("video.new")
	zero, two, hundred := 0, 2, 100
	tests := map[string]struct {
		params *gen.ListWebhooksParams
		want   string
	}{
		"no parameters":                {nil, ""},
		"none of them set":             {&gen.ListWebhooksParams{}, ""},
		"an event":                     {&gen.ListWebhooksParams{Events: &event}, "events=video.new"},
		"a page":                       {&gen.ListWebhooksParams{CurrentPage: &two}, "currentPage=2"},
		"a page size":                  {&gen.ListWebhooksParams{PageSize: &hundred}, "pageSize=100"},
		"a zero that was really meant": {&gen.ListWebhooksParams{CurrentPage: &zero}, "currentPage=0"},
		"all of them":                  {&gen.ListWebhooksParams{Events: &event, CurrentPage: &two, PageSize: &hundred}, "events=video.new&currentPage=2&pageSize=100"},
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

// Whoever stands in front of the service may garble its headers. They are text
// in Go, for as numbers they would turn a webhook that exists into an error.
func TestGarbledRateLimitHeadersLoseNothing(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"a fraction":           "12.5",
		"nothing":              "",
		"a word":               "abc",
		"half an escape":       "%zz",
		"a whole escape":       "%34%32",
		"two in one":           "1,2",
		"the start of JSON":    "{",
		"a negative number":    "-1",
		"more than any int":    "99999999999999999999",
		"a very long value":    strings.Repeat("9", 8000),
		"letters beyond ASCII": "zwölf",
	}
	for _, name := range rateLimitHeaders {
		for reason, value := range values {
			t.Run(name+" is "+reason, func(t *testing.T) {
				t.Parallel()
				header := http.Header{name: {value}}
				text := func(limit, remaining, retryAfter *string) {
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
				text(created.Headers201.XRateLimitLimit, created.Headers201.XRateLimitRemaining, created.Headers201.XRateLimitRetryAfter)

				refused, err := newClient(t, http.StatusTooManyRequests, header, `{"title":"Too many requests."}`).CreateWebhookWithResponse(t.Context(), gen.WebhookCreation{})
				require.NoError(t, err)
				require.NotNil(t, refused.JSON429)
				assert.Equal(t, "Too many requests.", refused.JSON429.Title)
				text(refused.Headers429.XRateLimitLimit, refused.Headers429.XRateLimitRemaining, refused.Headers429.XRateLimitRetryAfter)

				list, err := newClient(t, http.StatusOK, header, `{"data":[`+webhook+`],"pagination":{}}`).ListWebhooksWithResponse(t.Context(), nil)
				require.NoError(t, err)
				require.NotNil(t, list.JSON200)
				require.Len(t, list.JSON200.Data, 1)
				assert.Equal(t, id, list.JSON200.Data[0].WebhookID)
				text(list.Headers200.XRateLimitLimit, list.Headers200.XRateLimitRemaining, list.Headers200.XRateLimitRetryAfter)
			})
		}
	}
}

// The document says `EventType or any string` in some places and a constant in
// others, which the generator would make a type of each.
func TestThereIsOneTypeForEvents(t *testing.T) {
	t.Parallel()
	want := reflect.TypeFor[gen.EventType]()
	tests := map[string]struct {
		model reflect.Type
		field string
	}{
		"the events of a webhook":  {reflect.TypeFor[gen.Webhook](), "Events"},
		"the events of a creation": {reflect.TypeFor[gen.WebhookCreation](), "Events"},
		"the filter of a list":     {reflect.TypeFor[gen.ListWebhooksParams](), "Events"},
		"the start of a broadcast": {reflect.TypeFor[gen.LiveStreamBroadcastStarted](), "Type"},
		"the end of a broadcast":   {reflect.TypeFor[gen.LiveStreamBroadcastEnded](), "Type"},
		"a recording":              {reflect.TypeFor[gen.VideoSourceRecorded](), "Type"},
		"an encoding":              {reflect.TypeFor[gen.VideoEncodingQualityCompleted](), "Type"},
		"a caption":                {reflect.TypeFor[gen.VideoCaptionGenerated](), "Type"},
		"a summary":                {reflect.TypeFor[gen.VideoSummaryGenerated](), "Type"},
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

func TestEachOperationHasItsMethod(t *testing.T) {
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
		for _, side := range []reflect.Type{
			reflect.TypeFor[gen.StrictServerInterface](),
			reflect.TypeFor[gen.ClientInterface](),
		} {
			_, ok := side.MethodByName(name)
			assert.True(t, ok, "%s.%s", side.Name(), name)
		}
		_, ok := reflect.TypeFor[gen.ClientWithResponsesInterface]().MethodByName(name + "WithResponse")
		assert.True(t, ok, name)
	}
}

// Notifications have models, but nothing is generated that sends or receives
// them: a receiver without their signatures would believe anyone.
func TestNotificationsHaveNoTransport(t *testing.T) {
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

// An id that is empty or made of dots reaches another route. The generator
// escapes what has to be escaped and knows nothing of paths, so that whoever
// uses the raw client has to refuse them.
func TestSomeIDsLeaveTheirSegment(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ id, want string }{
		"an empty id is the list with a slash": {"", "/webhooks/"},
		"a dot is the list with a slash":       {".", "/webhooks/"},
		"two dots are the root":                {"..", "/"},
		"a slash stays":                        {"a/b", "/webhooks/a%2Fb"},
		"dots before a slash stay":             {"../auth", "/webhooks/..%2Fauth"},
		"a question mark stays":                {"a?b", "/webhooks/a%3Fb"},
		"a fragment stays":                     {"a#b", "/webhooks/a%23b"},
		"dots that are escaped already stay":   {"%2e%2e", "/webhooks/%252e%252e"},
		"a blank stays":                        {" ", "/webhooks/%20"},
		"three dots stay":                      {"...", "/webhooks/..."},
		"letters beyond ASCII stay":            {"ä", "/webhooks/%C3%A4"},
		"an id of today stays as it is":        {id, "/webhooks/" + id},
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

func TestAnswersDecodeInEveryFormTheyCome(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want gen.Webhook
	}{
		"nothing but an id": {
			`{"webhookId":"w"}`,
			gen.Webhook{WebhookID: "w"},
		},
		"members that are null": {
			`{"webhookId":"w","createdAt":null,"events":null,"url":null,"signatureSecret":null}`,
			gen.Webhook{WebhookID: "w"},
		},
		"an event of tomorrow": {
			`{"webhookId":"w","events":["video.new","video.source.recorded"]}`,
			gen.Webhook{WebhookID: "w", Events: []gen.EventType{"video.new", gen.EventTypeVideoSourceRecorded}},
		},
		"a member of tomorrow": {
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

func TestTimesDecodeInEveryFormTheyCome(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want time.Time
	}{
		"with a fraction and an offset": {"2021-01-29T16:46:25.217+01:00", time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC)},
		"with a fraction, in UTC":       {"2021-01-29T15:46:25.217Z", time.Date(2021, 1, 29, 15, 46, 25, 217e6, time.UTC)},
		"with an offset of nothing":     {"2024-08-08T14:12:18+00:00", time.Date(2024, 8, 8, 14, 12, 18, 0, time.UTC)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var emitted gen.VideoSummaryGenerated
			require.NoError(t, json.Unmarshal([]byte(`{"emittedAt":"`+test.text+`"}`), &emitted))
			assert.True(t, test.want.Equal(emitted.EmittedAt), emitted.EmittedAt)
		})
	}
}

func TestLinksDecodeWhateverTheyAre(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, want string }{
		"as an array":  {`{"currentPage":1,"links":[{"rel":"self","uri":"/webhooks"}]}`, `[{"rel":"self","uri":"/webhooks"}]`},
		"as an object": {`{"currentPage":1,"links":{"self":{"uri":"/webhooks"}}}`, `{"self":{"uri":"/webhooks"}}`},
		"as null":      {`{"currentPage":1,"links":null}`, `null`},
		"as text":      {`{"currentPage":1,"links":"/webhooks"}`, `"/webhooks"`},
		"not at all":   {`{"currentPage":1}`, ``},
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

func TestErrorsDecodeInEveryFormTheyCome(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want gen.Error
	}{
		"nothing at all":    {`{}`, gen.Error{}},
		"a name of null":    {`{"name":null,"status":404}`, gen.Error{Status: 404}},
		"an empty name":     {`{"name":"","status":404}`, gen.Error{Status: 404}},
		"a fault as events": {`{"problems":[{"events":"This attribute must be an array.","name":null}]}`, gen.Error{Problems: []gen.ErrorProblem{{Events: "This attribute must be an array."}}}},
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

func TestWhatIsNotSetIsNotMarshalled(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		model any
		want  string
	}{
		"a webhook without a date": {gen.Webhook{WebhookID: "w"}, `{"webhookId":"w"}`},
		"a page without links":     {gen.Pagination{}, `{"currentPage":0,"currentPageItems":0,"itemsTotal":0,"pageSize":0,"pagesTotal":0}`},
		"an error without members": {gen.Error{}, `{}`},
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
