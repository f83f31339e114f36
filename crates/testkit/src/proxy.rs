//! A network that counts what passes and can be cut.

mod requests;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use self::requests::RequestCounter;

/// How long a look for a new connection or for the end waits.
const TURN: Duration = Duration::from_millis(5);

/// Bytes and requests that passed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes from the devices to the server.
    pub up_bytes: u64,
    /// Bytes from the server to the devices.
    pub down_bytes: u64,
    /// Requests by method and path without its query; only where they are plain HTTP/1.1.
    pub requests: BTreeMap<String, u64>,
}

impl Traffic {
    /// All requests.
    pub fn request_count(&self) -> u64 {
        self.requests.values().sum()
    }
}

#[derive(Default)]
struct Shared {
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
    /// Once this many bytes went up every connection is cut and new ones are refused; 0 for never.
    cut_at_up_bytes: AtomicU64,
    /// The same for bytes that came down.
    cut_at_down_bytes: AtomicU64,
    refusing: AtomicBool,
    ended: AtomicBool,
    requests: Mutex<BTreeMap<String, u64>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn requests(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        self.refusing.store(true, Ordering::SeqCst);
        for stream in self.open().drain(..) {
            // It may be closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Forwards connections on a loopback port of its own to a server.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts forwarding to `target`.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen on loopback")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept_all(&listener, target, &shared))
        };
        Ok(Self {
            address,
            shared,
            acceptor: Some(acceptor),
        })
    }

    /// What a device is told at `cairn login`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has passed until now.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            up_bytes: self.shared.up_bytes.load(Ordering::SeqCst),
            down_bytes: self.shared.down_bytes.load(Ordering::SeqCst),
            requests: self.shared.requests().clone(),
        }
    }

    /// Begins to count from zero.
    pub fn reset(&self) {
        self.shared.up_bytes.store(0, Ordering::SeqCst);
        self.shared.down_bytes.store(0, Ordering::SeqCst);
        self.shared.requests().clear();
    }

    /// Cuts every connection and refuses new ones.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Cuts as soon as this many bytes went up since the count began.
    pub fn cut_after_up(&self, bytes: u64) {
        self.shared.cut_at_up_bytes.store(bytes, Ordering::SeqCst);
    }

    /// Cuts as soon as this many bytes came down since the count began.
    pub fn cut_after_down(&self, bytes: u64) {
        self.shared.cut_at_down_bytes.store(bytes, Ordering::SeqCst);
    }

    /// Whether connections are refused.
    pub fn is_cut(&self) -> bool {
        self.shared.refusing.load(Ordering::SeqCst)
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.shared.cut_at_up_bytes.store(0, Ordering::SeqCst);
        self.shared.cut_at_down_bytes.store(0, Ordering::SeqCst);
        self.shared.refusing.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        self.shared.cut();
        if let Some(acceptor) = self.acceptor.take() {
            // A thread that panicked has nothing more to clean up.
            drop(acceptor.join());
        }
    }
}

fn accept_all(listener: &TcpListener, target: SocketAddr, shared: &Arc<Shared>) {
    let mut pumps = Vec::new();
    while !shared.ended.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((device, _)) => {
                if !shared.refusing.load(Ordering::SeqCst) {
                    // A server that is down refuses: the device sees its connection closed.
                    pumps.extend(connect(device, target, shared).unwrap_or_default());
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => crate::deadline::pause(TURN),
            Err(_) => break,
        }
        pumps.retain(|pump: &JoinHandle<()>| !pump.is_finished());
    }
    shared.cut();
    for pump in pumps {
        drop(pump.join());
    }
}

fn connect(device: TcpStream, target: SocketAddr, shared: &Arc<Shared>) -> Result<Vec<JoinHandle<()>>> {
    device.set_nonblocking(false)?;
    let server = TcpStream::connect(target)?;
    for stream in [&device, &server] {
        stream.set_nodelay(true)?;
        shared.open().push(stream.try_clone()?);
    }
    let up = (device.try_clone()?, server.try_clone()?, Arc::clone(shared));
    let down = (server, device, Arc::clone(shared));
    Ok(vec![
        thread::spawn(move || pump_up(up.0, up.1, &up.2)),
        thread::spawn(move || pump_down(down.0, down.1, &down.2)),
    ])
}

fn pump_up(from: TcpStream, to: TcpStream, shared: &Shared) {
    let mut counter = RequestCounter::default();
    pump(from, to, |piece| {
        count(piece, &shared.up_bytes, &shared.cut_at_up_bytes, shared);
        for request in counter.push(piece) {
            *shared.requests().entry(request).or_insert(0) += 1;
        }
    });
}

fn pump_down(from: TcpStream, to: TcpStream, shared: &Shared) {
    pump(from, to, |piece| {
        count(piece, &shared.down_bytes, &shared.cut_at_down_bytes, shared)
    });
}

fn count(piece: &[u8], counter: &AtomicU64, cut_at: &AtomicU64, shared: &Shared) {
    let length = piece.len() as u64;
    let passed = counter.fetch_add(length, Ordering::SeqCst) + length;
    let cut_at = cut_at.load(Ordering::SeqCst);
    if cut_at != 0 && passed >= cut_at {
        shared.cut();
    }
}

/// Copies until either side closes, then closes both: HTTP needs no half-open connections.
fn pump(mut from: TcpStream, mut to: TcpStream, mut seen: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        seen(&buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    for stream in [from, to] {
        // It may be closed already.
        drop(stream.shutdown(Shutdown::Both));
    }
}
