package main

import (
	"context"
	"errors"
	"os"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
)

const scope = "github.com/apivideo-community/webhooks-go/examples/ingest"

// propagator carries a trace from the receiver to the worker, in headers.
var propagator = propagation.TraceContext{}

// telemetry is what the program tells of itself.
type telemetry struct {
	meters  metric.MeterProvider
	tracers trace.TracerProvider
	tracer  trace.Tracer

	accepted metric.Int64Counter // answered 202
	refused  metric.Int64Counter // answered otherwise, by status
	stored   metric.Int64Counter // acknowledged by the stream, which had it already or not
	handled  metric.Int64Counter // calls of the function, by whether it succeeded
	dead     metric.Int64Counter // dead letters, by the kind of reason

	closers []func(context.Context) error
}

// newTelemetry exports as OTEL_METRICS_EXPORTER and OTEL_TRACES_EXPORTER say, and
// nothing for one that isn't set.
func newTelemetry(ctx context.Context) (*telemetry, error) {
	about, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "ingest")),
		resource.WithFromEnv(), // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
	)
	if err != nil {
		return nil, err
	}
	var meters metric.MeterProvider = noopmetric.NewMeterProvider()
	var tracers trace.TracerProvider = nooptrace.NewTracerProvider()
	var closers []func(context.Context) error
	if os.Getenv("OTEL_METRICS_EXPORTER") != "" {
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return nil, err
		}
		provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(about))
		meters, closers = provider, append(closers, provider.Shutdown)
	}
	if os.Getenv("OTEL_TRACES_EXPORTER") != "" {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return nil, err
		}
		provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
		tracers, closers = provider, append(closers, provider.Shutdown)
	}
	return instrument(meters, tracers, closers...)
}

// instrument makes the counters and the tracer.
func instrument(meters metric.MeterProvider, tracers trace.TracerProvider, closers ...func(context.Context) error) (*telemetry, error) {
	t := &telemetry{meters: meters, tracers: tracers, tracer: tracers.Tracer(scope), closers: closers}
	meter := meters.Meter(scope)
	var errs []error
	for _, c := range []struct {
		counter                 *metric.Int64Counter
		name, unit, description string
	}{
		{&t.accepted, "ingest.accepted", "{notification}", "notifications answered 202"},
		{&t.refused, "ingest.refused", "{request}", "requests answered otherwise"},
		{&t.stored, "ingest.stored", "{notification}", "notifications that the stream acknowledged"},
		{&t.handled, "ingest.handled", "{call}", "calls of the function"},
		{&t.dead, "ingest.dead", "{letter}", "dead letters"},
	} {
		var err error
		*c.counter, err = meter.Int64Counter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.description))
		errs = append(errs, err)
	}
	return t, errors.Join(errs...)
}

// shutdown exports what is left.
func (t *telemetry) shutdown(ctx context.Context) error {
	var errs []error
	for _, c := range t.closers {
		errs = append(errs, c(ctx))
	}
	return errors.Join(errs...)
}

// end ends a span with an error, or without.
func end(span trace.Span, err error) {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
