package recipes_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"
	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/apivideo-community/webhooks-go/examples/recipes"
	"github.com/apivideo-community/webhooks-go/facade"
	"github.com/apivideo-community/webhooks-go/facade/facadetest"
	"github.com/apivideo-community/webhooks-go/facade/notification"
)

var secret = facade.NewSecret("sig_sec_0000000000000000000000")

// TestMain sets the environment of the function before its first request.
func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	for name, value := range map[string]string{"APIVIDEO_SIGNATURE_SECRET": secret.Reveal(), "FUNCTION_TARGET": "Receive"} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func newEvent() *notification.VideoSummaryGenerated {
	return &notification.VideoSummaryGenerated{EmittedAt: time.Now(), VideoID: "vi1", SummaryID: "summary1"}
}

// The fake server delivers to each router.
func TestRouters(t *testing.T) {
	t.Parallel()
	for name, newRouter := range map[string]func(http.Handler) http.Handler{
		"chi": recipes.NewChiRouter, "gin": recipes.NewGinRouter, "echo": recipes.NewEchoRouter,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := facadetest.NewServer(facadetest.WithDeliveryRetries(1, 0))
			t.Cleanup(api.Close)
			var calls atomic.Int64
			receiver, err := recipes.NewReceiver(api.Client(), func(_ context.Context, n *notification.Notification) error {
				assert.IsType(t, (*notification.VideoSummaryGenerated)(nil), n.Event)
				if calls.Add(1) == 1 {
					return errors.New("the first attempt fails")
				}
				return nil
			})
			require.NoError(t, err)
			server := httptest.NewServer(newRouter(receiver))
			t.Cleanup(server.Close)
			wh, err := api.Client().CreateWebhook(t.Context(), facade.CreateWebhookParams{
				URL:    server.URL + "/apivideo",
				Events: []facade.EventType{facade.EventVideoSummaryGenerated},
			})
			require.NoError(t, err)
			event := newEvent()

			first, second := api.Deliver(t.Context(), event), api.Deliver(t.Context(), event)

			assert.Equal(t, []facadetest.Attempt{{Status: 500}, {Status: 202}}, first[0].Attempts)
			assert.Equal(t, []facadetest.Attempt{{Status: 202}}, second[0].Attempts)
			assert.EqualValues(t, 2, calls.Load(), "the duplicate is dropped")
			assert.Equal(t, http.StatusUnauthorized, send(t, wh.URL, wh.ID, facade.NewSecret("sig_sec_other"), event))
		})
	}
}

// send sends a notification and returns the status of the response.
func send(t *testing.T, url, id string, secret facade.Secret, event any) int {
	t.Helper()
	req := facadetest.NewNotificationRequest(t.Context(), url, id, secret, event)
	req.RequestURI, req.Close = "", true
	resp, err := new(http.Client).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// functionURLEvent returns a notification in the format of a function URL.
func functionURLEvent(t *testing.T, secret facade.Secret, isBase64 bool) events.LambdaFunctionURLRequest {
	t.Helper()
	r := facadetest.NewNotificationRequest(t.Context(), "/", "webhook_1", secret, newEvent())
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	headers := map[string]string{}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	text := string(body)
	if isBase64 {
		text = base64.StdEncoding.EncodeToString(body)
	}
	event, err := json.Marshal(map[string]any{"version": "2.0", "headers": headers, "body": text, "isBase64Encoded": isBase64})
	require.NoError(t, err)
	var req events.LambdaFunctionURLRequest
	require.NoError(t, json.Unmarshal(event, &req))
	return req
}

// A broker that is down costs five seconds at most, even if the sender has left. The
// service retries.
func TestBrokers_unavailable(t *testing.T) {
	t.Parallel()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := ln.Addr().String()
	require.NoError(t, ln.Close())
	kafka, err := kgo.NewClient(kgo.SeedBrokers(address))
	require.NoError(t, err)
	t.Cleanup(kafka.Close)
	queue := sqs.New(sqs.Options{
		BaseEndpoint: aws.String("http://" + address), Region: "eu-west-1", RetryMaxAttempts: 1000,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "id", SecretAccessKey: "secret"}, nil
		}),
	})
	for name, store := range map[string]func(context.Context, *notification.Notification) error{
		"kafka": recipes.StoreInKafka(kafka, "notifications"),
		"sqs":   recipes.StoreInSQS(queue, "http://"+address+"/queue.fifo"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, leave := context.WithCancel(t.Context())
			leave()
			begin := time.Now()
			err := store(ctx, &notification.Notification{WebhookID: "webhook_1", Raw: []byte(`{"type":"x"}`)})
			require.ErrorIs(t, err, notification.ErrUnavailable)
			require.NotErrorIs(t, err, context.Canceled, "the sender has left, maybe after the last attempt")
			assert.InDelta(t, 5, time.Since(begin).Seconds(), 2)
			assert.Equal(t, http.StatusServiceUnavailable, notification.StatusCode(err))
		})
	}
}

func TestLambda(t *testing.T) {
	t.Parallel()
	duplicateHeader := functionURLEvent(t, secret, true)
	duplicateHeader.Headers["x-api-video-signature"] += ",a"
	twoSpellings := functionURLEvent(t, secret, true)
	twoSpellings.Headers["X-Api-Video-Signature"] = twoSpellings.Headers["x-api-video-signature"]
	invalidBase64 := functionURLEvent(t, secret, true)
	invalidBase64.Body = "?"
	for name, test := range map[string]struct {
		req    events.LambdaFunctionURLRequest
		err    error // of the function
		status int
	}{
		"base64":         {functionURLEvent(t, secret, true), nil, 202},
		"text":           {functionURLEvent(t, secret, false), nil, 202},
		"failure":        {functionURLEvent(t, secret, true), errors.New("failure"), 500},
		"unavailable":    {functionURLEvent(t, secret, true), fmt.Errorf("queue: %w", notification.ErrUnavailable), 503},
		"malformed":      {functionURLEvent(t, secret, true), notification.ErrMalformed, 500},
		"other secret":   {functionURLEvent(t, facade.NewSecret("sig_sec_other"), true), nil, 401},
		"two signatures": {duplicateHeader, nil, 401},
		"two spellings":  {twoSpellings, nil, 401},
		"invalid base64": {invalidBase64, nil, 400},
		"empty request":  {events.LambdaFunctionURLRequest{}, nil, 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verifier, err := notification.NewVerifier(notification.StaticSecrets(secret))
			require.NoError(t, err)
			called := false
			handler := recipes.NewLambdaHandler(verifier, func(_ context.Context, n *notification.Notification) error {
				called = true
				assert.Equal(t, "webhook_1", n.WebhookID)
				return test.err
			})

			resp, err := handler(t.Context(), test.req)

			require.NoError(t, err)
			assert.Equal(t, test.status, resp.StatusCode)
			assert.Equal(t, test.status == 202 || test.err != nil, called)
		})
	}
}

func TestCloudFunction(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(recipes.Receive))
	t.Cleanup(server.Close)

	assert.Equal(t, 202, send(t, server.URL, "webhook_1", secret, newEvent()))
	assert.Equal(t, 401, send(t, server.URL, "webhook_1", facade.NewSecret("sig_sec_other"), newEvent()))
}

// The framework looks for the function before it listens.
func TestCloudFunction_registered(t *testing.T) {
	t.Parallel()
	require.ErrorContains(t, funcframework.StartHostPort("127.0.0.1", "-1"), "invalid port")
}
