//! Figures for monitors, in the text format of Prometheus. Routes are named by their pattern: no path, name or address is in them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::request::Peer;
use crate::state::State;

/// Where the figures are given.
pub(crate) const ROUTE: &str = "/metrics";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    waiting: Gauge,
}

/// From 1 ms to 16 s.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 4.0, 8))
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("cairn");
        let requests = Family::default();
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        let waiting = Gauge::default();
        registry.register("requests", "Requests by route and status", requests.clone());
        registry.register_with_unit(
            "request",
            "From a request's head to that of its answer",
            Unit::Seconds,
            seconds.clone(),
        );
        registry.register(
            "waiting_devices",
            "Event streams and long polls that wait",
            waiting.clone(),
        );
        Self {
            registry,
            requests,
            seconds,
            waiting,
        }
    }

    /// Counts a request that was answered.
    pub(crate) fn answered(&self, route: &str, status: StatusCode, took: Duration) {
        let route = route.to_owned();
        let status = status.as_u16();
        self.seconds
            .get_or_create(&Route { route: route.clone() })
            .observe(took.as_secs_f64());
        self.requests.get_or_create(&Answered { route, status }).inc();
    }

    fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        text::encode(&mut out, &self.registry).unwrap_or_default();
        out
    }
}

/// `GET /metrics`, for monitors on this machine alone: figures tell how much a server is used.
pub(crate) async fn metrics(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let peer = request.extensions().get::<Peer>();
    if !peer.is_some_and(|peer| peer.0.to_canonical().is_loopback()) {
        return (StatusCode::FORBIDDEN, "for monitors on this machine\n").into_response();
    }
    let waiting = i64::try_from(state.notifier.waiter_count()).unwrap_or(i64::MAX);
    state.metrics.waiting.set(waiting);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], state.metrics.text()).into_response()
}
