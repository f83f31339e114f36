//! A pause while a pass is under way.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ahead::listed;
use super::{Command, DEADLINE, Daemon, Device, held_read, parts, told};
use crate::state::ClientState;
use crate::status::Activity;

/// A daemon that runs until it is told to stop.
struct Running {
    daemon: Arc<Daemon>,
    stop: CancellationToken,
    ended: JoinHandle<()>,
}

impl Running {
    fn start(daemon: Daemon) -> Self {
        let (daemon, stop) = (Arc::new(daemon), CancellationToken::new());
        let (running, stopped) = (Arc::clone(&daemon), stop.clone());
        let ended = tokio::spawn(async move {
            let (_tell, watch) = told();
            running.run_with(watch, stopped).await.unwrap();
        });
        Self { daemon, stop, ended }
    }

    /// Returns when no pass is under way.
    async fn rests(&self) {
        drop(timeout(DEADLINE, self.daemon.pass.lock()).await.unwrap());
    }

    fn activity(&self) -> Activity {
        self.daemon.status().borrow().activity
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(DEADLINE, self.ended).await.unwrap().unwrap();
    }
}

async fn yield_often() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_pause_cuts_a_pass_and_waits_for_what_is_on_its_way_to_the_disk() {
    let device = Device::new();
    device.write("large", &"x".repeat(1_000_000));
    let (begun, go_on) = held_read(&device);
    let daemon = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone())
        .await
        .unwrap();
    // The server is away; what is scanned is scanned.
    let running = Running::start(daemon);
    timeout(DEADLINE, begun).await.unwrap().unwrap();
    running.daemon.command(Command::Pause);
    yield_often().await;
    assert!(
        running.daemon.pass.try_lock().is_err(),
        "the disk is still being read"
    );
    go_on.send(()).unwrap();
    running.rests().await;
    let nodes = async || device.state.counts(device.namespace).await.unwrap().local_nodes;
    assert_eq!(nodes().await, 0, "the scan was cut");
    assert_eq!(running.activity(), Activity::Paused);

    let mut status = running.daemon.status();
    running.daemon.command(Command::Resume);
    let is_offline = status.wait_for(|status| status.activity == Activity::Offline);
    timeout(DEADLINE, is_offline).await.unwrap().unwrap();
    assert_eq!(nodes().await, 1);
    running.stop().await;
}

#[tokio::test]
async fn a_pause_cuts_what_is_being_sent_and_it_is_sent_when_syncing_goes_on() {
    let device = Device::new();
    let (remote, daemon) = listed(&device).await;
    device.write("a", "text");
    // A commit that would take for ever.
    let (has_begun, begun) = tokio::sync::oneshot::channel();
    remote.faults(|says| {
        says.on_put = Some(Box::new(move || has_begun.send(()).unwrap()));
        says.awaits_another = true;
    });
    let running = Running::start(daemon);
    timeout(DEADLINE, begun).await.unwrap().unwrap();
    running.daemon.command(Command::Pause);
    running.rests().await;
    yield_often().await;
    assert_eq!(running.activity(), Activity::Paused);
    assert_eq!(remote.commits().len(), 0);

    let mut status = running.daemon.status();
    running.daemon.command(Command::Resume);
    let is_in_sync = status.wait_for(|status| status.in_sync);
    let nodes = timeout(DEADLINE, is_in_sync).await.unwrap().unwrap().remote_nodes;
    assert_eq!(nodes, 1);
    running.stop().await;
}
