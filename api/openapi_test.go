// Package api_test checks openapi.yaml itself, with a JSON Schema validator
// that was not made here.
package api_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/apivideo-community/webhooks-go/internal/contract"
)

// examplesKnown is how many examples openapi.yaml had when this was written, so
// that a walk that finds none can't pass.
const examplesKnown = 40

// resource is the address that openapi.yaml has for the validator.
const resource = "https://example.com/openapi.yaml"

var events = []string{
	"live-stream.broadcast.started",
	"live-stream.broadcast.ended",
	"video.source.recorded",
	"video.encoding.quality.completed",
	"video.caption.generated",
	"video.summary.generated",
}

var readFile = sync.OnceValues(func() ([]byte, error) { return os.ReadFile("../openapi.yaml") })

// document returns openapi.yaml as the validator takes it, aliases followed.
func document(t *testing.T) any {
	t.Helper()
	source, err := readFile()
	require.NoError(t, err)
	var doc any
	require.NoError(t, yaml.Unmarshal(source, &doc))
	text, err := json.Marshal(doc)
	require.NoError(t, err)
	doc, err = jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return doc
}

// schemas returns a function that compiles the schema at a place of doc.
func schemas(t *testing.T, doc any) func(at ...string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource(resource, doc))
	return func(at ...string) *jsonschema.Schema {
		t.Helper()
		schema, err := compiler.Compile(resource + "#" + url.PathEscape(pointer(at)))
		require.NoError(t, err)
		return schema
	}
}

// pointer returns the JSON pointer to a place.
func pointer(at []string) string {
	var b strings.Builder
	for _, key := range at {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	return b.String()
}

// example is one example of openapi.yaml, and the place of its schema.
type example struct {
	at, schema []string
	value      any
}

// walk calls visit for every object of a document, and for no example in it.
func walk(node any, at []string, visit func(at []string, object map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		visit(at, node)
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if key != "example" && key != "examples" {
				walk(node[key], append(slices.Clip(at), key), visit)
			}
		}
	case []any:
		for i, item := range node {
			walk(item, append(slices.Clip(at), strconv.Itoa(i)), visit)
		}
	}
}

// examples returns every example of doc. Everything that has a schema of its
// own, which is to say a body, a parameter or a header, must have one.
func examples(t *testing.T, doc any) []example {
	t.Helper()
	var found []example
	walk(doc, nil, func(at []string, object map[string]any) {
		before := len(found)
		add := func(value any, path ...string) {
			found = append(found, example{
				at:     slices.Concat(at, path),
				schema: append(slices.Clip(at), "schema"),
				value:  value,
			})
		}
		if value, ok := object["example"]; ok {
			add(value, "example")
		}
		if value, ok := object["examples"]; ok {
			named, ok := value.(map[string]any)
			require.True(t, ok, "%s: examples have no names", pointer(at))
			for _, name := range slices.Sorted(maps.Keys(named)) {
				object, _ := named[name].(map[string]any)
				require.Contains(t, object, "value", "%s: the example %q", pointer(at), name)
				add(object["value"], "examples", name, "value")
			}
		}
		_, hasSchema := object["schema"]
		assert.Equal(t, hasSchema, len(found) > before, "%s: a schema and an example stand beside each other", pointer(at))

		content, _ := object["content"].(map[string]any)
		for name, media := range content {
			assert.Contains(t, media, "schema", "%s/content/%s", pointer(at), name)
		}
	})
	return found
}

func TestEveryExampleFitsItsSchema(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemaAt := schemas(t, doc)
	found := examples(t, doc)
	for _, example := range found {
		assert.NoError(t, schemaAt(example.schema...).Validate(example.value), pointer(example.at))
	}
	assert.GreaterOrEqual(t, len(found), examplesKnown)
	t.Logf("%d examples", len(found))
}

func TestSchemasTakeAndRefuse(t *testing.T) {
	t.Parallel()
	component := func(name string) []string { return []string{"components", "schemas", name} }
	parameter := func(index string) []string {
		return []string{"paths", "/webhooks", "get", "parameters", index, "schema"}
	}
	header := []string{"components", "headers", "X-RateLimit-Retry-After", "schema"}
	signature := []string{"components", "parameters", "NotificationSignature", "schema"}
	id := []string{"paths", "/webhooks/{webhookId}", "parameters", "0", "schema"}
	tests := map[string]struct {
		schema  []string
		value   string
		refused string // what the validator finds fault with, if it does
	}{
		"a webhook may have nothing but its id":           {component("Webhook"), `{"webhookId":"w"}`, ""},
		"a webhook may have events of tomorrow":           {component("Webhook"), `{"webhookId":"w","events":["video.new"]}`, ""},
		"a webhook may have members of tomorrow":          {component("Webhook"), `{"webhookId":"w","color":"red"}`, ""},
		"a webhook has an id":                             {component("Webhook"), `{"url":"https://a.example"}`, "missing property 'webhookId'"},
		"a webhook's id is text":                          {component("Webhook"), `{"webhookId":7}`, "got number, want string"},
		"a webhook's events are a list":                   {component("Webhook"), `{"webhookId":"w","events":"video.new"}`, "got string, want array"},
		"a webhook's events are text":                     {component("Webhook"), `{"webhookId":"w","events":[7]}`, "got number, want string"},
		"a webhook was created at an instant":             {component("Webhook"), `{"webhookId":"w","createdAt":"2024-08-08"}`, "not valid date-time"},
		"a creation may name events of tomorrow":          {component("WebhookCreation"), `{"url":"https://a.example","events":["video.new"]}`, ""},
		"a creation has a url":                            {component("WebhookCreation"), `{"events":["video.new"]}`, "missing property 'url'"},
		"a creation has events":                           {component("WebhookCreation"), `{"url":"https://a.example"}`, "missing property 'events'"},
		"a creation has one event at least":               {component("WebhookCreation"), `{"url":"https://a.example","events":[]}`, "minItems: got 0, want 1"},
		"a creation's scheme may be in upper case":        {component("WebhookCreation"), `{"url":"HTTPS://a.example","events":["video.new"]}`, ""},
		"a creation's url may have more than ASCII":       {component("WebhookCreation"), `{"url":"http://zwölf.example/a b","events":["video.new"]}`, ""},
		"a creation's url is absolute":                    {component("WebhookCreation"), `{"url":"/hook","events":["video.new"]}`, "does not match pattern"},
		"a creation's url is http or https":               {component("WebhookCreation"), `{"url":"ftp://a.example","events":["video.new"]}`, "does not match pattern"},
		"a creation's url is not empty":                   {component("WebhookCreation"), `{"url":"","events":["video.new"]}`, "does not match pattern"},
		"a list may have links as an array":               {component("Pagination"), `{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":0,"itemsTotal":0,"links":[{"rel":"self","uri":"/"}]}`, ""},
		"a list may have links as an object":              {component("Pagination"), `{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":0,"itemsTotal":0,"links":{"self":{"uri":"/"}}}`, ""},
		"a list's links are no text":                      {component("Pagination"), `{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":0,"itemsTotal":0,"links":"/"}`, "oneOf"},
		"a list has its webhooks":                         {component("WebhookList"), `{"pagination":{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":0,"itemsTotal":0}}`, "missing property 'data'"},
		"a list tells where it stands":                    {component("WebhookList"), `{"data":[],"pagination":{"currentPage":1,"currentPageItems":0,"pageSize":25,"itemsTotal":0}}`, "missing property 'pagesTotal'"},
		"an event filter may be of tomorrow":              {parameter("0"), `"video.new"`, ""},
		"pages count from one":                            {parameter("1"), `0`, "minimum: got 0, want 1"},
		"a page may hold a hundred":                       {parameter("2"), `100`, ""},
		"a page holds a hundred at most":                  {parameter("2"), `101`, "maximum: got 101, want 100"},
		"a page holds one at least":                       {parameter("2"), `0`, "minimum: got 0, want 1"},
		"an id is not empty":                              {id, `""`, "minLength: got 0, want 1"},
		"a wait is a whole number":                        {header, `12.5`, "got number, want integer"},
		"a wait is not negative":                          {header, `-1`, "minimum: got -1, want 0"},
		"an exchange has a key":                           {component("AccessTokenCreation"), `{"api_key":"k"}`, "missing property 'apiKey'"},
		"a renewal has a token":                           {component("AccessTokenRefresh"), `{"refresh_token":"r"}`, "missing property 'refreshToken'"},
		"an answer with tokens may have the access token": {component("AccessToken"), `{"token_type":"bearer","access_token":"a"}`, ""},
		"an answer with tokens has an access token":       {component("AccessToken"), `{"token_type":"bearer"}`, "missing property 'access_token'"},
		"an error may be empty":                           {component("Error"), `{}`, ""},
		"an error may be about nothing in particular":     {component("Error"), `{"name":null,"problems":[{"name":null}]}`, ""},
		"an error's problems are a list":                  {component("Error"), `{"problems":{}}`, "got object, want array"},
		"a notification may have members of tomorrow":     {component("Notification"), `{"type":"video.summary.generated","emittedAt":"2024-08-08T14:12:18+00:00","videoId":"v","summaryId":"s","more":1}`, ""},
		"a notification of one event is not of another":   {component("VideoSummaryGenerated"), `{"type":"video.caption.generated","emittedAt":"2024-08-08T14:12:18+00:00","videoId":"v","summaryId":"s"}`, "value must be 'video.summary.generated'"},
		"a notification with a type only":                 {component("Notification"), `{"type":"video.summary.generated"}`, ""},
		"a notification without a type":                   {component("VideoSummaryGenerated"), `{"videoId":"v"}`, "missing property 'type'"},
		"a notification was sent at an instant":           {component("Notification"), `{"type":"live-stream.broadcast.ended","emittedAt":"today","liveStreamId":"l"}`, "not valid date-time"},
		"a signature is in lower case":                    {signature, `"27A77D3A7FC626854886B5DBFAE4E32C8B0170C1EA1B714C91BA77F1E7774E8C"`, "does not match pattern"},
		"a signature is whole":                            {signature, `"27a77d3a"`, "does not match pattern"},
	}
	doc := document(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(test.value))
			require.NoError(t, err)
			err = schemas(t, doc)(test.schema...).Validate(value)
			if test.refused == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, test.refused)
			}
		})
	}
}

func TestEventsStandInOneEnum(t *testing.T) {
	t.Parallel()
	source, err := readFile()
	require.NoError(t, err)
	var root yaml.Node
	require.NoError(t, yaml.Unmarshal(source, &root))

	// An alias is a single place however often it is used, so the nodes are
	// searched here and not what they stand for.
	var enums [][]string
	var search func(*yaml.Node)
	search = func(node *yaml.Node) {
		for i, child := range node.Content {
			if node.Kind == yaml.MappingNode && i%2 == 1 && node.Content[i-1].Value == "enum" {
				var values []string
				require.NoError(t, child.Decode(&values))
				enums = append(enums, values)
			}
			search(child)
		}
	}
	search(&root)
	assert.Equal(t, [][]string{events}, enums)
}

func TestOperationIDsAreUnique(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	var ids []string
	var collect func(items map[string]*openapi3.PathItem)
	collect = func(items map[string]*openapi3.PathItem) {
		for at, item := range items {
			for method, operation := range item.Operations() {
				assert.NotEmpty(t, operation.OperationID, "%s %s", method, at)
				ids = append(ids, operation.OperationID)
				for _, callback := range operation.Callbacks {
					collect(callback.Value.Map())
				}
			}
		}
	}
	collect(doc.Paths.Map())
	collect(doc.Webhooks)
	slices.Sort(ids)
	assert.Len(t, ids, 13, "six operations, one callback and six webhooks")
	assert.Equal(t, slices.Compact(slices.Clone(ids)), ids)
}

func TestCredentialsAreMarkedAsPasswords(t *testing.T) {
	t.Parallel()
	places := map[string][]string{
		"signatureSecret": nil,
		"apiKey":          nil,
		"refreshToken":    nil,
		"access_token":    nil,
		"refresh_token":   nil,
	}
	for name, schema := range contract.Load(t).Components.Schemas {
		for property, value := range schema.Value.Properties {
			if _, ok := places[property]; ok {
				places[property] = append(places[property], name)
				assert.Equal(t, "password", value.Value.Format, "%s.%s", name, property)
			}
		}
	}
	for property, schemas := range places {
		assert.Len(t, schemas, 1, property)
	}
}

func TestEveryResponseAboutWebhooksHasTheRateLimit(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	operations := 0
	for path, item := range doc.Paths.Map() {
		if !strings.HasPrefix(path, "/webhooks") {
			continue
		}
		for method, operation := range item.Operations() {
			operations++
			require.NotZero(t, operation.Responses.Len())
			for status, response := range operation.Responses.Map() {
				names := slices.Sorted(maps.Keys(response.Value.Headers))
				assert.Equal(t, []string{"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Retry-After"}, names, "%s %s: %s", method, path, status)
			}
		}
	}
	assert.Equal(t, 4, operations)
}

func TestOnlyTheTokenOperationsTakeNoCredentials(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	assert.Equal(t, openapi3.SecurityRequirements{{"basicAuth": {}}, {"bearerAuth": {}}}, doc.Security)
	var open []string
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.Security == nil {
				continue // It takes those of the document.
			}
			assert.Empty(t, *operation.Security, "%s %s", method, path)
			open = append(open, method+" "+path)
		}
	}
	assert.ElementsMatch(t, []string{"POST /auth/api-key", "POST /auth/refresh"}, open)
}

func TestThereIsAWebhookForEachEvent(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	assert.ElementsMatch(t, events, slices.Collect(maps.Keys(doc.Webhooks)))

	notification := doc.Components.Schemas["Notification"].Value
	require.NotNil(t, notification.Discriminator)
	assert.Equal(t, "type", notification.Discriminator.PropertyName)
	assert.ElementsMatch(t, events, slices.Collect(maps.Keys(notification.Discriminator.Mapping)))
	var members []string
	for _, schema := range notification.OneOf {
		members = append(members, schema.Ref)
	}
	assert.Len(t, members, len(events))

	for event, item := range doc.Webhooks {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			require.NotNil(t, item.Post)
			assert.Len(t, item.Operations(), 1)
			require.NotNil(t, item.Post.Security)
			assert.Empty(t, *item.Post.Security, "api.video signs its notifications, it does not log in")

			assert.Len(t, item.Post.Parameters, 2)
			for _, name := range []string{"X-Api-Video-WebhookID", "X-Api-Video-Signature"} {
				header := item.Post.Parameters.GetByInAndName(openapi3.ParameterInHeader, name)
				if assert.NotNil(t, header, name) {
					assert.True(t, header.Required, name)
				}
			}

			assert.ElementsMatch(t, []string{"202", "3XX", "4XX", "5XX"}, slices.Collect(maps.Keys(item.Post.Responses.Map())))

			assert.True(t, item.Post.RequestBody.Value.Required)
			schema := item.Post.RequestBody.Value.Content["application/json"].Schema
			assert.Equal(t, notification.Discriminator.Mapping[event].Ref, schema.Ref)
			assert.Contains(t, members, schema.Ref)
			assert.Equal(t, event, schema.Value.Properties["type"].Value.Const)
			assert.Equal(t, []string{"type"}, schema.Value.Required)
		})
	}
}

func TestExamplesOfWebhooksAreNotifications(t *testing.T) {
	t.Parallel()
	doc := document(t)
	notification := schemas(t, doc)("components", "schemas", "Notification")
	var seen []string
	for _, example := range examples(t, doc) {
		// An example of a body stands at /webhooks/{event}/post/requestBody/...
		if example.at[0] != "webhooks" || example.at[3] != "requestBody" {
			continue
		}
		seen = append(seen, example.at[1])
		assert.NoError(t, notification.Validate(example.value), pointer(example.at))
		object, _ := example.value.(map[string]any)
		assert.Equal(t, example.at[1], object["type"], pointer(example.at))
	}
	assert.Subset(t, seen, events)
}
