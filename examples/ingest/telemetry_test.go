package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
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

func TestTelemetryCountsAndTraces(t *testing.T) {
	t.Parallel()
	reader := sdkmetric.NewManualReader()
	spans := tracetest.NewSpanRecorder()
	tel, err := instrument(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)))
	require.NoError(t, err)

	s := newStreams(t)
	wh, secrets := subscribe(t)
	r := testReceiver(t, s, secrets)
	r.telemetry = tel
	address, receiving := serve(t, r)
	assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
	assert.Equal(t, http.StatusAccepted, send(t, address, wh.ID, body, wh.SignatureSecret))
	assert.Equal(t, http.StatusUnauthorized, send(t, address, wh.ID, body, facade.NewSecret("a guess")))
	_, err = s.js.Publish(t.Context(), "apivideo.by.hand", nil)
	require.NoError(t, err)
	receiving.stop()

	var c calls
	w := testWorker(t, s, c.handle)
	w.telemetry = tel
	working := start(t, w.run)
	eventuallyEmpty(t, s)
	working.stop()

	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &got))
	assert.Equal(t, int64(2), sum(t, got, "ingest.accepted"))
	assert.Equal(t, int64(1), sum(t, got, "ingest.refused", attribute.Int("status", http.StatusUnauthorized)))
	assert.Equal(t, int64(1), sum(t, got, "ingest.stored", attribute.Bool("duplicate", false)))
	assert.Equal(t, int64(1), sum(t, got, "ingest.stored", attribute.Bool("duplicate", true)))
	assert.Equal(t, int64(1), sum(t, got, "ingest.handled", attribute.Bool("ok", true)))
	assert.Equal(t, int64(1), sum(t, got, "ingest.dead", attribute.String("reason", deadMalformed)))

	ended := spans.Ended()
	named := func(name string) trace.SpanContext {
		i := slices.IndexFunc(ended, func(s sdktrace.ReadOnlySpan) bool { return s.Name() == name })
		require.NotEqual(t, -1, i, name)
		return ended[i].SpanContext()
	}
	const subject = "apivideo.video.encoding.quality.completed"
	assert.Equal(t, named("store "+subject).TraceID(), named("handle "+subject).TraceID(), "one trace from the receiver to the worker")
	i := slices.IndexFunc(ended, func(s sdktrace.ReadOnlySpan) bool { return s.SpanKind() == trace.SpanKindServer })
	require.NotEqual(t, -1, i)
	assert.Equal(t, named("store "+subject).TraceID(), ended[i].SpanContext().TraceID())
}

// sum returns the value of a counter, of the point with these attributes.
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

func TestTelemetryExportsNothingUnlessAsked(t *testing.T) {
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
		tel.accepted.Add(t.Context(), 1)
		_, span := tel.tracer.Start(t.Context(), "span")
		end(span, context.Canceled)
		require.NoError(t, tel.shutdown(t.Context()), "which exports what is left")
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
