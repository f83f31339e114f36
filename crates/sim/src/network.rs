//! The way between devices and server: late, lossy, repeating, and torn apart at times.

mod body;
mod plan;
mod pump;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::body::Body as ServerBody;
use cairn_api::sync::path;
use cairn_client::remote::transport::{Body, Transport, TransportError};
use cairn_core::runtime::Spawner;
use cairn_testkit::random::Random;
use futures::StreamExt;
use http::{Request, Response};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::spawner::{Life, SimSpawner};
use crate::trace::Trace;
use body::{Receiver, Tap};
pub use plan::NetworkFaults;
use plan::Plan;
use pump::Pump;

/// Why a simulated connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The way is cut.
    #[error("there is no way to the server")]
    Partition,
    /// Nobody listens.
    #[error("nobody answers")]
    Refused,
    /// What was sent did not arrive.
    #[error("the request was lost")]
    RequestLost,
    /// What was answered did not arrive.
    #[error("the reply was lost")]
    ReplyLost,
    /// The connection ended in the middle.
    #[error("the connection was cut")]
    Cut,
}

impl From<Broken> for TransportError {
    fn from(broken: Broken) -> Self {
        Self {
            refused_certificate: None,
            source: Box::new(broken),
        }
    }
}

/// A server that takes requests: its routes, and the life in which they run.
#[derive(Clone)]
pub struct Listener {
    /// The routes.
    pub router: Router,
    /// The life.
    pub life: Arc<Life>,
}

/// The network of a world.
pub struct Network {
    /// How the way of each device fails.
    faults: Mutex<Vec<NetworkFaults>>,
    random: Mutex<Random>,
    listener: Mutex<Option<Listener>>,
    /// For each device, what is cancelled when it is cut off. Requests that wait are woken in the order in which they came;
    /// a `watch` channel would wake them in an order of its own.
    links: Vec<Mutex<CancellationToken>>,
    /// What the network does by itself; never dies.
    life: Arc<Life>,
    requests: Mutex<u64>,
    trace: Arc<Trace>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// Connects so many devices with a server that is to come.
    pub fn new(devices: usize, faults: NetworkFaults, random: Random, life: Arc<Life>) -> Arc<Self> {
        Arc::new(Self {
            faults: Mutex::new(vec![faults; devices]),
            random: Mutex::new(random),
            listener: Mutex::new(None),
            links: (0..devices).map(|_| Mutex::default()).collect(),
            trace: Arc::clone(life.trace()),
            life,
            requests: Mutex::new(0),
        })
    }

    /// How the way of a device fails now.
    pub fn faults(&self, device: usize) -> NetworkFaults {
        lock(&self.faults).get(device).copied().unwrap_or_default()
    }

    /// Changes how the way of a device fails from now on.
    pub fn set_faults(&self, device: usize, faults: NetworkFaults) {
        if let Some(known) = lock(&self.faults).get_mut(device) {
            *known = faults;
        }
    }

    /// Cuts a device off, or connects it again.
    pub fn set_connected(&self, device: usize, is_connected: bool) {
        let Some(link) = self.links.get(device) else {
            return;
        };
        let mut link = lock(link);
        if is_connected != link.is_cancelled() {
            return;
        }
        let word = if is_connected {
            *link = CancellationToken::new();
            "is connected"
        } else {
            link.cancel();
            self.trace.count("partition");
            "is cut off"
        };
        self.trace.line("network", format_args!("device {device} {word}"));
    }

    /// Whether a device is connected.
    pub fn is_connected(&self, device: usize) -> bool {
        self.links
            .get(device)
            .is_some_and(|link| !lock(link).is_cancelled())
    }

    /// Ends all partitions and faults.
    pub fn heal(&self) {
        for device in 0..self.links.len() {
            self.set_faults(device, NetworkFaults::NONE);
            self.set_connected(device, true);
        }
    }

    /// Names the server that requests reach from now on, if any.
    pub fn listen(&self, listener: Option<Listener>) {
        *lock(&self.listener) = listener;
    }

    /// The way of one device in one of its lives.
    pub fn transport(self: &Arc<Self>, device: usize, life: Arc<Life>) -> Arc<SimTransport> {
        Arc::new(SimTransport {
            network: Arc::clone(self),
            device,
            life,
        })
    }

    fn next_plan(&self, device: usize, can_repeat: bool) -> Plan {
        let faults = self.faults(device);
        Plan::draw(&faults, &mut lock(&self.random), can_repeat)
    }

    fn next_number(&self) -> u64 {
        let mut requests = lock(&self.requests);
        *requests += 1;
        *requests
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One device's way to the server.
#[derive(Debug)]
pub struct SimTransport {
    network: Arc<Network>,
    device: usize,
    life: Arc<Life>,
}

/// A request that is on its way, as whoever carries it needs it.
struct Exchange {
    number: u64,
    plan: Plan,
    /// Cancelled when the device is cut off.
    link: CancellationToken,
    /// Cancelled when the connection breaks, or the client has gone.
    gone: CancellationToken,
}

/// What the server's side gives back.
struct Answer {
    head: oneshot::Receiver<http::response::Parts>,
    body: Receiver,
}

#[async_trait]
impl Transport for SimTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        self.life.step().await;
        let can_repeat = request.uri().path() != path::EVENTS;
        let exchange = Exchange {
            number: self.network.next_number(),
            plan: self.network.next_plan(self.device, can_repeat),
            link: self.link(),
            gone: CancellationToken::new(),
        };
        let number = exchange.number;
        let trace = &self.network.trace;
        trace.line(
            self.life.name(),
            format_args!("#{number} {} {}", request.method(), request.uri()),
        );
        // Whoever drops this call takes its connection along.
        let guard = exchange.gone.clone().drop_guard();
        let (answer, link, plan) = (
            self.carry(&exchange, request),
            exchange.link.clone(),
            exchange.plan,
        );
        let result = tokio::select! {
            biased;
            () = link.cancelled() => Err(Broken::Partition),
            answer = answer => answer,
        };
        match result {
            Ok((parts, body)) => {
                trace.line(
                    self.life.name(),
                    format_args!("#{number} is answered {}", parts.status.as_u16()),
                );
                let tap = Tap::new(
                    body,
                    link,
                    plan,
                    guard,
                    Arc::clone(trace),
                    self.life.name(),
                    number,
                );
                Ok(Response::from_parts(parts, tap.into_stream()))
            }
            Err(broken) => {
                trace.line(self.life.name(), format_args!("#{number} fails: {broken}"));
                drop(guard);
                if plan.stalls {
                    std::future::pending::<()>().await;
                }
                Err(broken.into())
            }
        }
    }
}

impl SimTransport {
    /// A token that is cancelled when the device is cut off; it is already where it is, and where there is no such device.
    fn link(&self) -> CancellationToken {
        match self.network.links.get(self.device) {
            Some(link) => lock(link).clone(),
            None => {
                let link = CancellationToken::new();
                link.cancel();
                link
            }
        }
    }

    /// Brings a request to the server and the head of the answer back.
    async fn carry(
        &self,
        exchange: &Exchange,
        request: Request<Body>,
    ) -> Result<(http::response::Parts, Receiver), Broken> {
        let plan = exchange.plan;
        let trace = &self.network.trace;
        tokio::time::sleep(plan.there).await;
        if plan.is_delayed {
            trace.count("long delay");
        }
        if plan.is_request_lost {
            trace.count("request lost");
            return Err(Broken::RequestLost);
        }
        let answer = match plan.repeat {
            Some(_) => self.deliver_twice(exchange, request).await?,
            None => self.deliver(exchange, request)?,
        };
        let Answer { head, body } = answer;
        let head = tokio::select! {
            biased;
            () = exchange.gone.cancelled() => return Err(Broken::Cut),
            head = head => head.map_err(|_dropped| Broken::Cut)?,
        };
        tokio::time::sleep(plan.back).await;
        if plan.is_reply_lost {
            trace.count("reply lost");
            return Err(Broken::ReplyLost);
        }
        Ok((head, body))
    }

    /// Hands a request to the server; its body follows from a task of the client.
    fn deliver(&self, exchange: &Exchange, request: Request<Body>) -> Result<Answer, Broken> {
        let (parts, blocks) = request.into_parts();
        let (sender, receiver) = body::pipe();
        let pump = Pump {
            blocks,
            sender,
            plan: exchange.plan,
            trace: Arc::clone(&self.network.trace),
            name: format!("{} #{}", self.life.name(), exchange.number),
        };
        let answer = self.hand_over(
            exchange,
            Request::from_parts(parts, receiver),
            exchange.gone.clone(),
        )?;
        let (gone, link) = (exchange.gone.clone(), exchange.link.clone());
        let task = async move {
            tokio::select! {
                biased;
                () = gone.cancelled() => {}
                () = link.cancelled() => {}
                is_whole = pump.run() => if !is_whole { gone.cancel() },
            }
        };
        SimSpawner::new(Arc::clone(&self.life)).spawn("request body", Box::pin(task));
        Ok(answer)
    }

    /// Hands a request to the server twice; one of the replies reaches the client.
    async fn deliver_twice(&self, exchange: &Exchange, request: Request<Body>) -> Result<Answer, Broken> {
        let (parts, blocks) = request.into_parts();
        let blocks: Vec<_> = blocks.filter_map(|block| async { block.ok() }).collect().await;
        let copy = |parts: http::request::Parts| Request::from_parts(parts, Receiver::of(blocks.clone()));
        let Some(repeat) = exchange.plan.repeat else {
            return self.hand_over(exchange, copy(parts), exchange.gone.clone());
        };
        self.network.trace.count("duplicate");
        let never_gone = CancellationToken::new();
        if repeat.is_first_heard {
            let answer = self.hand_over(exchange, copy(parts.clone()), exchange.gone.clone())?;
            let later = Exchange {
                number: exchange.number,
                plan: exchange.plan,
                link: exchange.link.clone(),
                gone: never_gone.clone(),
            };
            let again = copy(parts);
            let way = self
                .network
                .transport(self.device, Arc::clone(&self.network.life));
            let task = async move {
                tokio::time::sleep(repeat.gap).await;
                if let Ok(answer) = way.hand_over(&later, again, never_gone) {
                    answer.body.drain().await;
                }
            };
            SimSpawner::new(Arc::clone(&self.network.life)).spawn("duplicate", Box::pin(task));
            return Ok(answer);
        }
        let first = self.hand_over(exchange, copy(parts.clone()), never_gone)?;
        SimSpawner::new(Arc::clone(&self.network.life)).spawn("duplicate", Box::pin(first.body.drain()));
        tokio::time::sleep(repeat.gap).await;
        self.hand_over(exchange, copy(parts), exchange.gone.clone())
    }

    /// Starts the server's side of a request, as a task of the server.
    fn hand_over(
        &self,
        exchange: &Exchange,
        request: Request<Receiver>,
        gone: CancellationToken,
    ) -> Result<Answer, Broken> {
        let listener = lock(&self.network.listener).clone().ok_or(Broken::Refused)?;
        if listener.life.is_dead() {
            return Err(Broken::Refused);
        }
        let (head_sender, head) = oneshot::channel();
        let (sender, body) = body::pipe();
        let request = request.map(|receiver| ServerBody::from_stream(receiver.into_stream()));
        let router = listener.router;
        let pause = exchange.plan.block_pause;
        let work = async move {
            let Ok(response) = router.oneshot(request).await;
            let (parts, reply) = response.into_parts();
            // A client that has gone is noticed by the body.
            drop(head_sender.send(parts));
            let mut blocks = reply.into_data_stream();
            while let Some(Ok(block)) = blocks.next().await {
                tokio::time::sleep(pause).await;
                if !sender.block(block).await {
                    return;
                }
            }
            sender.end().await;
        };
        let stays = exchange.plan.server_stays;
        let task = async move {
            if stays {
                work.await;
            } else {
                gone.run_until_cancelled(work).await;
            }
        };
        SimSpawner::new(listener.life).spawn("request", Box::pin(task));
        Ok(Answer { head, body })
    }
}
