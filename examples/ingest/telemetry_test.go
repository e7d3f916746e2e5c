package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/apivideo-community/webhooks-go/facade"
)

func TestTelemetry_countersAndTrace(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	spans := tracetest.NewSpanRecorder()
	tel := &telemetry{
		meters:  sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		tracers: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)),
	}
	tel.instrument()

	s := newStreams(t)
	wh, secrets := subscribe(t)
	r := testReceiver(t, s, secrets)
	r.telemetry = tel
	address, receiving := serve(t, r)
	assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
	assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
	assert.Equal(t, http.StatusUnauthorized, send(t, address, wh.ID, body, facade.NewSecret("a guess")))
	_, err := s.js.Publish(t.Context(), "apivideo.by.hand", nil)
	require.NoError(t, err)
	receiving.stop()

	var traceID trace.TraceID
	c := calls{do: func(ctx context.Context, _ event) error {
		traceID = trace.SpanContextFromContext(ctx).TraceID()
		return nil
	}}
	w := testWorker(t, s, c.handle)
	w.telemetry = tel
	working := start(t, w.run)
	eventuallyEmpty(t, s)
	working.stop()

	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	assert.Equal(t, int64(1), sum(t, got, "ingest.stored", attribute.Bool("duplicate", false)))
	assert.Equal(t, int64(1), sum(t, got, "ingest.stored", attribute.Bool("duplicate", true)))
	assert.Equal(t, int64(1), sum(t, got, "ingest.handled", attribute.Bool("ok", true)))
	assert.Equal(t, int64(1), sum(t, got, "ingest.dead", attribute.String("reason", deadMalformed)))

	require.Len(t, c.all(), 1)
	ended := spans.Ended()
	require.NotEmpty(t, ended)
	assert.Equal(t, ended[0].SpanContext().TraceID(), traceID, "one trace from the request to the function")
}

// sum returns the value of a counter with these attributes.
func sum(t *testing.T, got metricdata.ResourceMetrics, name string, attrs ...attribute.KeyValue) int64 {
	t.Helper()
	want := attribute.NewSet(attrs...)
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
				if point.Attributes.Equals(&want) {
					return point.Value
				}
			}
		}
	}
	return 0
}

func TestTelemetry_exporters(t *testing.T) {
	var mu sync.Mutex
	paths := map[string]bool{}
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		paths[r.URL.Path] = true
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	use := func() {
		tel, err := newTelemetry(t.Context())
		require.NoError(t, err)
		tel.dead.Add(t.Context(), 1)
		_, span := tel.tracers.Tracer("test").Start(t.Context(), "span")
		span.End()
		require.NoError(t, tel.shutdown(t.Context()), "shutdown exports the rest")
	}
	t.Setenv("OTEL_METRICS_EXPORTER", "")
	t.Setenv("OTEL_TRACES_EXPORTER", "")
	use()
	assert.Empty(t, paths)
	t.Setenv("OTEL_METRICS_EXPORTER", "otlp")
	t.Setenv("OTEL_TRACES_EXPORTER", "otlp")
	use()
	assert.Equal(t, map[string]bool{"/v1/metrics": true, "/v1/traces": true}, paths)
	t.Setenv("OTEL_TRACES_EXPORTER", "nonesuch")
	_, err := newTelemetry(t.Context())
	assert.Error(t, err)
}
