// Package api_test checks openapi.yaml with a third-party JSON Schema validator.
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

// minExamples is the minimum number of examples in openapi.yaml. It detects a
// search that finds too few.
const minExamples = 40

// resource is the URL of openapi.yaml in the validator.
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

// document returns openapi.yaml for the validator, with resolved aliases.
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

// schemas returns a function that compiles the schema at a path of doc.
func schemas(t *testing.T, doc any) func(path ...string) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	require.NoError(t, compiler.AddResource(resource, doc))
	return func(path ...string) *jsonschema.Schema {
		t.Helper()
		schema, err := compiler.Compile(resource + "#" + url.PathEscape(pointer(path)))
		require.NoError(t, err)
		return schema
	}
}

// pointer returns the JSON pointer of path.
func pointer(path []string) string {
	var b strings.Builder
	for _, key := range path {
		b.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(key))
	}
	return b.String()
}

// example is one example of openapi.yaml.
type example struct {
	path, schemaPath []string
	value            any
}

// visitObjects calls visit for every object of a document except its examples.
func visitObjects(node any, path []string, visit func(path []string, object map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		visit(path, node)
		for _, key := range slices.Sorted(maps.Keys(node)) {
			if key != "example" && key != "examples" {
				visitObjects(node[key], append(slices.Clip(path), key), visit)
			}
		}
	case []any:
		for i, item := range node {
			visitObjects(item, append(slices.Clip(path), strconv.Itoa(i)), visit)
		}
	}
}

// examples returns every example of doc. It asserts that every body, parameter
// and header with a schema has an example.
func examples(t *testing.T, doc any) []example {
	t.Helper()
	var found []example
	visitObjects(doc, nil, func(path []string, object map[string]any) {
		before := len(found)
		add := func(value any, keys ...string) {
			found = append(found, example{
				path:       slices.Concat(path, keys),
				schemaPath: append(slices.Clip(path), "schema"),
				value:      value,
			})
		}
		if value, ok := object["example"]; ok {
			add(value, "example")
		}
		if value, ok := object["examples"]; ok {
			named, ok := value.(map[string]any)
			require.True(t, ok, "%s: the examples are not an object", pointer(path))
			for _, name := range slices.Sorted(maps.Keys(named)) {
				object, _ := named[name].(map[string]any)
				require.Contains(t, object, "value", "%s: example %q", pointer(path), name)
				add(object["value"], "examples", name, "value")
			}
		}
		_, hasSchema := object["schema"]
		assert.Equal(t, hasSchema, len(found) > before, "%s: a schema without an example or an example without a schema", pointer(path))

		content, _ := object["content"].(map[string]any)
		for name, media := range content {
			assert.Contains(t, media, "schema", "%s/content/%s", pointer(path), name)
		}
	})
	return found
}

func TestExamples_matchSchemas(t *testing.T) {
	t.Parallel()
	doc := document(t)
	schemaAt := schemas(t, doc)
	found := examples(t, doc)
	for _, example := range found {
		assert.NoError(t, schemaAt(example.schemaPath...).Validate(example.value), pointer(example.path))
	}
	assert.GreaterOrEqual(t, len(found), minExamples)
	t.Logf("%d examples", len(found))
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	component := func(name string) []string { return []string{"components", "schemas", name} }
	parameter := func(index string) []string {
		return []string{"paths", "/webhooks", "get", "parameters", index, "schema"}
	}
	header := []string{"components", "headers", "X-RateLimit-Retry-After", "schema"}
	signature := []string{"components", "parameters", "NotificationSignature", "schema"}
	id := []string{"paths", "/webhooks/{webhookId}", "parameters", "0", "schema"}
	tests := map[string]struct {
		schema []string
		value  string
		want   string // part of the validator's error, empty for none
	}{
		"webhook with an ID only":                     {component("Webhook"), `{"webhookId":"w"}`, ""},
		"webhook with an unknown event":               {component("Webhook"), `{"webhookId":"w","events":["video.new"]}`, ""},
		"webhook with an unknown field":               {component("Webhook"), `{"webhookId":"w","color":"red"}`, ""},
		"webhook without an ID":                       {component("Webhook"), `{"url":"https://a.example"}`, "missing property 'webhookId'"},
		"webhook with a number as ID":                 {component("Webhook"), `{"webhookId":7}`, "got number, want string"},
		"webhook with events as a string":             {component("Webhook"), `{"webhookId":"w","events":"video.new"}`, "got string, want array"},
		"webhook with a number as event":              {component("Webhook"), `{"webhookId":"w","events":[7]}`, "got number, want string"},
		"webhook with a date as createdAt":            {component("Webhook"), `{"webhookId":"w","createdAt":"2024-08-08"}`, "not valid date-time"},
		"creation with an unknown event":              {component("WebhookCreation"), `{"url":"https://a.example","events":["video.new"]}`, ""},
		"creation without a URL":                      {component("WebhookCreation"), `{"events":["video.new"]}`, "missing property 'url'"},
		"creation without events":                     {component("WebhookCreation"), `{"url":"https://a.example"}`, "missing property 'events'"},
		"creation with zero events":                   {component("WebhookCreation"), `{"url":"https://a.example","events":[]}`, "minItems: got 0, want 1"},
		"creation with an upper-case scheme":          {component("WebhookCreation"), `{"url":"HTTPS://a.example","events":["video.new"]}`, ""},
		"creation with a URL beyond ASCII":            {component("WebhookCreation"), `{"url":"http://zwölf.example/a b","events":["video.new"]}`, ""},
		"creation with a relative URL":                {component("WebhookCreation"), `{"url":"/hook","events":["video.new"]}`, "does not match pattern"},
		"creation with an ftp URL":                    {component("WebhookCreation"), `{"url":"ftp://a.example","events":["video.new"]}`, "does not match pattern"},
		"creation with an empty URL":                  {component("WebhookCreation"), `{"url":"","events":["video.new"]}`, "does not match pattern"},
		"pagination with an array of links":           {component("Pagination"), `{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":0,"itemsTotal":0,"links":[{"rel":"self","uri":"/"}]}`, ""},
		"pagination with an object of links":          {component("Pagination"), `{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":0,"itemsTotal":0,"links":{"self":{"uri":"/"}}}`, ""},
		"pagination with links as a string":           {component("Pagination"), `{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":0,"itemsTotal":0,"links":"/"}`, "oneOf"},
		"list without data":                           {component("WebhookList"), `{"pagination":{"currentPage":1,"currentPageItems":0,"pageSize":25,"pagesTotal":0,"itemsTotal":0}}`, "missing property 'data'"},
		"list without pagesTotal":                     {component("WebhookList"), `{"data":[],"pagination":{"currentPage":1,"currentPageItems":0,"pageSize":25,"itemsTotal":0}}`, "missing property 'pagesTotal'"},
		"unknown event as filter":                     {parameter("0"), `"video.new"`, ""},
		"currentPage 0":                               {parameter("1"), `0`, "minimum: got 0, want 1"},
		"pageSize 100":                                {parameter("2"), `100`, ""},
		"pageSize 101":                                {parameter("2"), `101`, "maximum: got 101, want 100"},
		"pageSize 0":                                  {parameter("2"), `0`, "minimum: got 0, want 1"},
		"empty ID":                                    {id, `""`, "minLength: got 0, want 1"},
		"fractional wait":                             {header, `12.5`, "got number, want integer"},
		"negative wait":                               {header, `-1`, "minimum: got -1, want 0"},
		"key exchange without a key":                  {component("AccessTokenCreation"), `{"api_key":"k"}`, "missing property 'apiKey'"},
		"token refresh without a token":               {component("AccessTokenRefresh"), `{"refresh_token":"r"}`, "missing property 'refreshToken'"},
		"tokens with an access token only":            {component("AccessToken"), `{"token_type":"bearer","access_token":"a"}`, ""},
		"tokens without an access token":              {component("AccessToken"), `{"token_type":"bearer"}`, "missing property 'access_token'"},
		"empty error":                                 {component("Error"), `{}`, ""},
		"error with a null name":                      {component("Error"), `{"name":null,"problems":[{"name":null}]}`, ""},
		"error with problems as an object":            {component("Error"), `{"problems":{}}`, "got object, want array"},
		"notification with an unknown field":          {component("Notification"), `{"type":"video.summary.generated","emittedAt":"2024-08-08T14:12:18+00:00","videoId":"v","summaryId":"s","more":1}`, ""},
		"notification with the type of another event": {component("VideoSummaryGenerated"), `{"type":"video.caption.generated","emittedAt":"2024-08-08T14:12:18+00:00","videoId":"v","summaryId":"s"}`, "value must be 'video.summary.generated'"},
		"notification with a type only":               {component("Notification"), `{"type":"video.summary.generated"}`, ""},
		"notification without a type":                 {component("VideoSummaryGenerated"), `{"videoId":"v"}`, "missing property 'type'"},
		"notification with a malformed emittedAt":     {component("Notification"), `{"type":"live-stream.broadcast.ended","emittedAt":"today","liveStreamId":"l"}`, "not valid date-time"},
		"signature in upper case":                     {signature, `"27A77D3A7FC626854886B5DBFAE4E32C8B0170C1EA1B714C91BA77F1E7774E8C"`, "does not match pattern"},
		"truncated signature":                         {signature, `"27a77d3a"`, "does not match pattern"},
	}
	doc := document(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(test.value))
			require.NoError(t, err)
			err = schemas(t, doc)(test.schema...).Validate(value)
			if test.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, test.want)
			}
		})
	}
}

func TestEventType_onlyEnum(t *testing.T) {
	t.Parallel()
	source, err := readFile()
	require.NoError(t, err)
	var root yaml.Node
	require.NoError(t, yaml.Unmarshal(source, &root))

	// Decoded aliases would be found more than once. The nodes contain each
	// alias once.
	var enums [][]string
	var findEnums func(*yaml.Node)
	findEnums = func(node *yaml.Node) {
		for i, child := range node.Content {
			if node.Kind == yaml.MappingNode && i%2 == 1 && node.Content[i-1].Value == "enum" {
				var values []string
				require.NoError(t, child.Decode(&values))
				enums = append(enums, values)
			}
			findEnums(child)
		}
	}
	findEnums(&root)
	assert.Equal(t, [][]string{events}, enums)
}

func TestOperationIDs_unique(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	var ids []string
	var collect func(items map[string]*openapi3.PathItem)
	collect = func(items map[string]*openapi3.PathItem) {
		for path, item := range items {
			for method, operation := range item.Operations() {
				assert.NotEmpty(t, operation.OperationID, "%s %s", method, path)
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

func TestCredentials_formatPassword(t *testing.T) {
	t.Parallel()
	schemasOf := map[string][]string{
		"signatureSecret": nil,
		"apiKey":          nil,
		"refreshToken":    nil,
		"access_token":    nil,
		"refresh_token":   nil,
	}
	for name, schema := range contract.Load(t).Components.Schemas {
		for property, value := range schema.Value.Properties {
			if _, ok := schemasOf[property]; ok {
				schemasOf[property] = append(schemasOf[property], name)
				assert.Equal(t, "password", value.Value.Format, "%s.%s", name, property)
			}
		}
	}
	for property, schemas := range schemasOf {
		assert.Len(t, schemas, 1, property)
	}
}

func TestWebhookResponses_rateLimitHeaders(t *testing.T) {
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

func TestTokenOperations_withoutCredentials(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	assert.Equal(t, openapi3.SecurityRequirements{{"basicAuth": {}}, {"bearerAuth": {}}}, doc.Security)
	var withoutCredentials []string
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if operation.Security == nil {
				continue // The security of the document applies.
			}
			assert.Empty(t, *operation.Security, "%s %s", method, path)
			withoutCredentials = append(withoutCredentials, method+" "+path)
		}
	}
	assert.ElementsMatch(t, []string{"POST /auth/api-key", "POST /auth/refresh"}, withoutCredentials)
}

func TestWebhooks_onePerEvent(t *testing.T) {
	t.Parallel()
	doc := contract.Load(t)
	assert.ElementsMatch(t, events, slices.Collect(maps.Keys(doc.Webhooks)))

	notification := doc.Components.Schemas["Notification"].Value
	require.NotNil(t, notification.Discriminator)
	assert.Equal(t, "type", notification.Discriminator.PropertyName)
	assert.ElementsMatch(t, events, slices.Collect(maps.Keys(notification.Discriminator.Mapping)))
	var refs []string
	for _, schema := range notification.OneOf {
		refs = append(refs, schema.Ref)
	}
	assert.Len(t, refs, len(events))

	for event, item := range doc.Webhooks {
		t.Run(event, func(t *testing.T) {
			t.Parallel()
			require.NotNil(t, item.Post)
			assert.Len(t, item.Operations(), 1)
			require.NotNil(t, item.Post.Security)
			assert.Empty(t, *item.Post.Security, "notifications are signed")

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
			assert.Contains(t, refs, schema.Ref)
			assert.Equal(t, event, schema.Value.Properties["type"].Value.Const)
			assert.Equal(t, []string{"type"}, schema.Value.Required)
		})
	}
}

func TestExamples_matchNotification(t *testing.T) {
	t.Parallel()
	doc := document(t)
	notification := schemas(t, doc)("components", "schemas", "Notification")
	var seen []string
	for _, example := range examples(t, doc) {
		// The path of a body is /webhooks/{event}/post/requestBody/...
		if example.path[0] != "webhooks" || example.path[3] != "requestBody" {
			continue
		}
		seen = append(seen, example.path[1])
		assert.NoError(t, notification.Validate(example.value), pointer(example.path))
		object, _ := example.value.(map[string]any)
		assert.Equal(t, example.path[1], object["type"], pointer(example.path))
	}
	assert.Subset(t, seen, events)
}
