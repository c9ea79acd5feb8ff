//! Export of traces to a collector, if `OTEL_EXPORTER_OTLP_ENDPOINT` is set: OTLP over HTTP.

use std::env;
use std::error::Error;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use sms_domain::trace_context::TraceParent;
use sms_telemetry::propagation::{Propagation, set_propagation};
use sms_telemetry::{Spans, exported_spans};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;

/// Exports spans in the background; remaining ones are exported when it is dropped.
pub struct Exporter(SdkTracerProvider);

impl Drop for Exporter {
    fn drop(&mut self) {
        // Errors are ignored: the process ends even if the collector is unreachable.
        let _ = self.0.shutdown();
    }
}

/// Creates the layer that exports spans, if a collector is configured. The endpoint and all other
/// options are read from OpenTelemetry's own variables.
#[expect(clippy::disallowed_methods, reason = "OpenTelemetry's variables")]
pub fn exporter() -> Result<Option<(Spans, Exporter)>, Box<dyn Error>> {
    if env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_none_or(|endpoint| endpoint.is_empty()) {
        return Ok(None);
    }
    let exporter =
        SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).build()?;
    let variable = |name| env::var(name).unwrap_or_default();
    let is_named = !variable("OTEL_SERVICE_NAME").is_empty()
        || variable("OTEL_RESOURCE_ATTRIBUTES").contains("service.name=");
    let resource = Resource::builder();
    let resource =
        if is_named { resource } else { resource.with_service_name("sms-verify") }.build();
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("sms-verify"));
    set_propagation(Box::new(W3c(TraceContextPropagator::new())));
    Ok(Some((layer.with_filter(exported_spans()).boxed(), Exporter(provider))))
}

struct W3c(TraceContextPropagator);

const HEADER: &str = "traceparent";

impl Propagation for W3c {
    fn traceparent(&self, span: &Span) -> Option<TraceParent> {
        let mut carrier = std::collections::HashMap::new();
        self.0.inject_context(&span.context(), &mut carrier);
        TraceParent::parse(carrier.get(HEADER)?)
    }

    fn set_parent(&self, span: &Span, parent: &TraceParent) {
        let carrier =
            std::collections::HashMap::from([(HEADER.to_owned(), parent.as_str().to_owned())]);
        let _ = span.set_parent(self.0.extract(&carrier));
    }
}
