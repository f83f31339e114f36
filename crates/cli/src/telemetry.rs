//! Traces by OpenTelemetry (OTLP over HTTP), where they are configured.
//!
//! A span for each request, with what its line in the log has: id, method, route, status, device; no path, name, address or
//! token. Spans wait in a queue of bounded length, and are dropped when it is full: no request ever waits for it.

use std::time::Duration;

use async_trait::async_trait;
use cairn_server::{SPANS, tls};
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;

use crate::config::TelemetrySection;
use crate::error::{CliError, CliResult};
use crate::home;
use crate::logging::Lines;

/// How long the collector may take for one batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the last batch may take when the server stops.
const LAST: Duration = Duration::from_secs(3);
/// Bytes of the collector's answer that are read.
const ANSWER_BYTES: usize = 64 << 10;

/// Sends spans until it is ended.
pub(crate) struct Telemetry(SdkTracerProvider);

impl Telemetry {
    /// Begins to send spans, where the environment (`OTEL_EXPORTER_OTLP_ENDPOINT` and its like) or else the configuration says
    /// where to; with what is to see the server's spans.
    pub(crate) fn start(section: &TelemetrySection) -> CliResult<Option<(Self, Lines)>> {
        let is_in_environment = home::has_otlp_endpoint();
        if !is_in_environment && section.otlp_endpoint.is_none() {
            return Ok(None);
        }
        let wrong = |what: String| CliError::usage(format!("traces cannot be sent: {what}"));
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::outgoing(None).map_err(wrong)?)
            .no_proxy()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(Collector {
                client,
                runtime: Handle::current(),
            });
        if let (false, Some(endpoint)) = (is_in_environment, &section.otlp_endpoint) {
            exporter = exporter.with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')));
        }
        let exporter = exporter.build().map_err(|error| wrong(error.to_string()))?;
        let mut resource = Resource::builder();
        if !home::has_otel_service_name() {
            let name = section.service_name.clone();
            resource = resource.with_service_name(name.unwrap_or_else(|| "cairn".to_owned()));
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("cairn"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            // Events stay in the log.
            .with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == SPANS))
            .boxed();
        Ok(Some((Self(provider), spans)))
    }

    /// Sends what is left.
    pub(crate) async fn end(self) {
        // It waits for its own thread, which needs the runtime's.
        let ended = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(LAST)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// The way to the collector. The exporter has a thread of its own without the runtime that connections need.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        self.runtime.spawn(send(client, request)).await?
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(request.try_into()?).await?;
    let mut body = Vec::new();
    while let Some(block) = answer.chunk().await? {
        if body.len() + block.len() > ANSWER_BYTES {
            return Err("the collector's answer is too long".into());
        }
        body.extend_from_slice(&block);
    }
    Ok(Response::builder().status(answer.status()).body(body.into())?)
}
