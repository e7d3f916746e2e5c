package main

import (
	"cmp"
	"context"
	"errors"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// propagator carries a trace from the receiver to the function, in headers.
var propagator = propagation.TraceContext{}

type telemetry struct {
	meters  metric.MeterProvider
	tracers trace.TracerProvider

	stored, handled, hung, dead metric.Int64Counter

	shutdown func(context.Context) error // exports the rest
}

// newTelemetry exports according to the environment. The default is nothing.
func newTelemetry(ctx context.Context) (*telemetry, error) {
	for name, value := range map[string]string{"OTEL_METRICS_EXPORTER": "none", "OTEL_TRACES_EXPORTER": "none", "OTEL_SERVICE_NAME": "ingest"} {
		_ = os.Setenv(name, cmp.Or(os.Getenv(name), value))
	}
	reader, err := autoexport.NewMetricReader(ctx)
	exporter, exporterErr := autoexport.NewSpanExporter(ctx)
	if err := errors.Join(err, exporterErr); err != nil {
		return nil, err
	}
	meters, tracers := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	t := &telemetry{meters: meters, tracers: tracers}
	t.shutdown = func(ctx context.Context) error { return errors.Join(meters.Shutdown(ctx), tracers.Shutdown(ctx)) }
	t.instrument()
	return t, nil
}

// instrument creates the counters. The names are valid, so there is no error.
func (t *telemetry) instrument() {
	meter := t.meters.Meter("github.com/apivideo-community/webhooks-go/examples/ingest")
	t.stored, _ = meter.Int64Counter("ingest.stored")   // notifications that a stream acknowledged
	t.handled, _ = meter.Int64Counter("ingest.handled") // calls of the function
	t.hung, _ = meter.Int64Counter("ingest.hung")       // calls that ignored the end of their context
	t.dead, _ = meter.Int64Counter("ingest.dead")       // dead letters
}
