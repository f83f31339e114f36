//! Requests to the provider: over TLS, within a time, of a bounded size, and to where it was told.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use tokio::sync::Semaphore;

use crate::tls;

/// How long an answer may take; somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer: the keys of large providers take some 10 KB.
const ANSWER_BYTES: usize = 512 << 10;
/// Requests at once; others wait.
const AT_ONCE: usize = 8;

/// Why the provider's answer is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum HttpError {
    #[error("it is asked over TLS only, and its document names another address")]
    Insecure,
    #[error("it takes too long")]
    Slow,
    #[error("its answer is longer than {ANSWER_BYTES} bytes")]
    TooLong,
    #[error("it cannot be reached")]
    Network(#[source] reqwest::Error),
    #[error("it answered what is no HTTP")]
    Malformed(#[from] axum::http::Error),
}

/// The way to the provider.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    /// Whether it is on this machine, and asked without TLS.
    is_plain: bool,
    places: Semaphore,
}

/// Whether an address is one that is asked without TLS: on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or("").trim_matches(['[', ']']).to_owned();
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

impl Http {
    pub(super) fn new(is_plain: bool, authority: Option<&[u8]>) -> Result<Self, String> {
        let tls = tls::outgoing(authority)?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            // An answer that leads elsewhere is none: a code or a secret would travel there.
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .user_agent(concat!("cairn/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| format!("it cannot be asked: {error}"))?;
        Ok(Self {
            client,
            is_plain,
            places: Semaphore::new(AT_ONCE),
        })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (head, body) = request.into_parts();
        let url = Url::parse(&head.uri.to_string()).map_err(|_| HttpError::Insecure)?;
        let is_safe =
            url.scheme() == "https" || (self.is_plain && url.scheme() == "http" && is_loopback(&url));
        if !is_safe {
            return Err(HttpError::Insecure);
        }
        let network = |error: reqwest::Error| HttpError::Network(error.without_url());
        let call = self
            .client
            .request(head.method, url)
            .headers(head.headers)
            .body(body);
        let mut answer = call.send().await.map_err(network)?;
        let mut bytes = Vec::new();
        while let Some(block) = answer.chunk().await.map_err(network)? {
            if bytes.len() + block.len() > ANSWER_BYTES {
                return Err(HttpError::TooLong);
            }
            bytes.extend_from_slice(&block);
        }
        let mut response = axum::http::Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            response = response.header(name, value);
        }
        Ok(response.body(bytes)?)
    }
}

impl<'client> AsyncHttpClient<'client> for Http {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'client>>;

    fn call(&'client self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let sent = async {
                let _place = self.places.acquire().await;
                self.send(request).await
            };
            let sent = tokio::time::timeout(PATIENCE, sent).await;
            sent.map_err(|_elapsed| HttpError::Slow)?
        })
    }
}
