//! One life of a daemon, from its start to its end.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cairn_client::daemon::{Command, Daemon, DaemonError, DaemonParts};
use cairn_client::fs::root::RootFilesystem;
use cairn_client::progress::Progress;
use cairn_client::remote::http::HttpRemote;
use cairn_core::runtime::{Runtime, Spawner};
use tokio_util::sync::CancellationToken;

use super::{Exit, RESTART_MS, Running, SimDevice};
use crate::clock::SimEntropy;
use crate::gates::Gated;
use crate::spawner::{Life, SimSpawner};
use crate::watch::SimWatch;

/// Cores that hash files at once; fixed, so that a seed means the same on every machine.
const READERS: usize = 2;

/// Starts a daemon on a device that has none.
pub(super) fn start(device: &Arc<SimDevice>) {
    let mut inner = device.inner();
    inner.is_wanted = true;
    if inner
        .running
        .as_ref()
        .is_some_and(|running| !running.life.is_dead())
    {
        return;
    }
    inner.lives += 1;
    let number = inner.lives;
    let life = device.common.life(&device.name, number, &mut inner.random);
    device
        .common
        .trace
        .line(&device.name, format_args!("starts, life {number}"));
    device
        .call_faults
        .begin(Arc::clone(&life), !device.disk.is_mounted());
    let process = device.disk.process();
    let handle = process.clone();
    life.at_end(move || handle.kill());
    let (daemon, stop) = (Arc::new(OnceLock::new()), CancellationToken::new());
    inner.running = Some(Running {
        life: Arc::clone(&life),
        daemon: Arc::clone(&daemon),
        stop: stop.clone(),
    });
    let watch = SimWatch::new(
        device.disk.clone(),
        Arc::clone(&device.watch_faults),
        inner.random.fork(),
        Arc::clone(&device.common.trace),
    );
    let state = Gated::new(Arc::clone(&inner.state), Arc::clone(&life));
    drop(inner);
    let spawner = SimSpawner::new(Arc::clone(&life));
    let runtime = Runtime {
        clock: Arc::clone(&device.clock) as _,
        entropy: Arc::new(SimEntropy::new(device.common.seed, &device.name, number)),
        spawner: Arc::new(spawner.clone()),
    };
    let (this, own) = (Arc::clone(device), Arc::clone(&life));
    let main = async move {
        let result = async {
            let parts = parts(&this, &own, process, state)?;
            let built = Arc::new(Daemon::assemble(parts, runtime).await?);
            if this.inner().is_paused {
                built.command(Command::Pause);
            }
            let built = daemon.get_or_init(|| built);
            built.run_with(Box::new(watch), stop).await
        };
        let result = Box::pin(result).await;
        ended(&this, &own, result);
    };
    spawner.spawn("daemon", Box::pin(main));
    supervise(device, life);
}

fn parts(
    device: &SimDevice,
    life: &Arc<Life>,
    process: crate::disk::ProcessDisk,
    state: Gated<cairn_client::state::memory::MemoryState>,
) -> Result<DaemonParts, DaemonError> {
    let profile = &device.profile;
    let progress = Progress::new();
    device.inner().progress.push(Arc::clone(&progress));
    let transport = device.network.transport(device.number, Arc::clone(life));
    let remote = HttpRemote::over(
        transport,
        &profile.server,
        profile.token.expose(),
        Arc::clone(&progress),
    )?;
    Ok(DaemonParts {
        namespace: profile.root,
        device: profile.device,
        device_name: profile.device_name.clone(),
        server: profile.server.clone(),
        folder: PathBuf::from(format!("/home/{}/Cairn", device.name)),
        fs: Arc::new(RootFilesystem::new(process)?),
        state: Arc::new(state),
        remote: Arc::new(remote),
        progress,
        readers: READERS,
        nodes_at_once: device.common.nodes_at_once,
        guards: Vec::new(),
    })
}

/// Records how a daemon ended by itself.
fn ended(device: &SimDevice, life: &Arc<Life>, result: Result<(), DaemonError>) {
    // Who was killed within a call of its disk sees that call fail, and has ended by then.
    if let Err(error) = result
        && !life.is_dead()
    {
        // The volume may be back by now.
        let was_away = device.call_faults.was_away();
        let is_excused = match &error {
            DaemonError::Fs(_) => device.call_faults.has_failed() || was_away,
            DaemonError::FolderGone { .. } => was_away,
            _ => false,
        };
        let exit = Exit {
            device: device.number,
            life: life.number(),
            error: chain(&error),
            is_excused,
        };
        device
            .common
            .trace
            .line(&device.name, format_args!("ends: {}", exit.error));
        device.inner().exits.push(exit);
    }
    life.die("end of daemon");
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Starts the daemon again when this life ends by itself.
fn supervise(device: &Arc<SimDevice>, life: Arc<Life>) {
    let device = Arc::downgrade(device);
    tokio::spawn(async move {
        life.ended().await;
        let Some(device) = device.upgrade() else { return };
        let down = {
            let mut inner = device.inner();
            let by_chance = Duration::from_millis(inner.random.below(RESTART_MS));
            inner.down.take().unwrap_or(by_chance)
        };
        tokio::time::sleep(down).await;
        let is_wanted = device.inner().is_wanted;
        if is_wanted {
            device.start();
        }
    });
}
