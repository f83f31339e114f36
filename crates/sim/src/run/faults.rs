//! What breaks on a stage, and who mends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cairn_client::state::ClientState;
use cairn_core::ids::FileId;

use super::stage::Stage;
use crate::actions::{open, tree_of};
use crate::content;
use crate::device::SimDevice;
use crate::disk::{SimDisk, UserEntry};
use crate::network::NetworkFaults;
use crate::script::Fault;
use crate::tree::Item;
use crate::watch::WatchFaults;

impl Stage {
    fn device(&self, number: usize) -> Option<Arc<SimDevice>> {
        self.world.devices().get(number).map(Arc::clone)
    }

    pub(super) async fn do_fault(&mut self, fault: &Fault) {
        match fault {
            Fault::Wait { ms } => self.world.run_for(Duration::from_millis(*ms)).await,
            Fault::ServerCrash { down_ms } => {
                self.world.server().crash();
                let server = Arc::clone(self.world.server());
                let down = Duration::from_millis(*down_ms);
                tokio::spawn(async move {
                    tokio::time::sleep(down).await;
                    server.start();
                });
            }
            Fault::ServerBackup {} => self.backup = Some(self.world.server().backup()),
            Fault::ServerRestore {} => {
                if let Some(backup) = &self.backup {
                    self.world.server().restore(backup);
                    self.world.server().start();
                    open(&self.notes).ledger.forget_agreements();
                }
            }
            Fault::ServerNew {} => {
                // A store in memory refuses nothing.
                self.world.server().replace().await.ok();
                self.world.server().start();
                open(&self.notes).ledger.forget_agreements();
            }
            Fault::Network { .. } | Fault::NetworkMended { .. } | Fault::Partition { .. } => {
                self.break_network(fault);
            }
            _ => {
                if !self.would_mislead(fault).await {
                    self.break_device(fault);
                }
            }
        }
    }

    /// A daemon that knows no root yet takes the empty folder under an unmounted volume for it, and says afterwards that
    /// the right one is another: only its user can settle that.
    async fn would_mislead(&self, fault: &Fault) -> bool {
        let Some(device) = device_of(fault).and_then(|number| self.device(number)) else {
            return false;
        };
        match fault {
            Fault::Unmount { .. } => {
                let marker = device.state().setting("root-marker").await;
                !matches!(marker, Ok(Some(_)))
            }
            Fault::StateForget { .. } | Fault::StateRestore { .. } => !device.disk().is_mounted(),
            _ => false,
        }
    }

    fn break_network(&self, fault: &Fault) {
        let network = self.world.network();
        match fault {
            Fault::Network {
                device,
                lost,
                reply_lost,
                doubled,
                cut,
                delay_ms,
            } => network.set_faults(
                *device,
                NetworkFaults {
                    request_lost: *lost,
                    reply_lost: *reply_lost,
                    duplicate: *doubled,
                    cut_up: *cut,
                    cut_down: *cut,
                    delayed: 100,
                    stalled: 100,
                    latency_ms: 60,
                    delay_ms: *delay_ms,
                },
            ),
            Fault::NetworkMended { device } => {
                network.set_faults(*device, NetworkFaults::NONE);
                network.set_connected(*device, true);
            }
            Fault::Partition { device } => network.set_connected(*device, false),
            _ => {}
        }
    }

    fn break_device(&mut self, fault: &Fault) {
        let Some(device) = device_of(fault).and_then(|number| self.device(number)) else {
            return;
        };
        let disk = device.disk();
        match fault {
            Fault::KillAtPoll { polls, down_ms, .. } => {
                device.kill_after_polls(*polls, Some(Duration::from_millis(*down_ms)));
            }
            Fault::KillAtCall { calls, down_ms, .. } => {
                device.kill_after_disk_calls(*calls, Some(Duration::from_millis(*down_ms)));
            }
            Fault::PowerLoss { down_ms, .. } => self.lose_power(&device, *down_ms),
            Fault::Stop { .. } => device.stop(),
            Fault::Start { .. } => device.start(),
            Fault::DiskFull { room, .. } => disk.set_capacity(Some(disk.used_bytes() + room)),
            Fault::DiskRoom { .. } => disk.set_capacity(None),
            Fault::DiskError { after, count, .. } => device.fail_disk_calls(*after, *count),
            Fault::SyncError { .. } => device.fail_next_sync(),
            Fault::ReadOnly { .. } => disk.set_read_only(true),
            Fault::Writable { .. } => disk.set_read_only(false),
            Fault::Unmount { .. } => device.unmount(),
            Fault::Mount { .. } => disk.mount(),
            Fault::ClockJump { by_ms, .. } => device.jump_clock(*by_ms),
            Fault::WatcherOff { .. } => device.set_watch_faults(WatchFaults {
                is_off: true,
                ..WatchFaults::default()
            }),
            Fault::WatcherOn { .. } => device.set_watch_faults(WatchFaults::default()),
            Fault::Overflow { .. } => device.set_watch_faults(WatchFaults {
                overflows: 300,
                dropped: 200,
                late_ms: 500,
                ..WatchFaults::default()
            }),
            Fault::Pause { .. } => device.pause(),
            Fault::Resume { .. } => device.resume(),
            Fault::Release { .. } => device.release_deletes(),
            Fault::StateCopy { .. } => {
                self.copies.insert(device.number(), device.copy_state());
            }
            Fault::StateRestore { .. } => {
                if let Some(copy) = self.copies.get(&device.number()) {
                    self.forget_what_waits(&device);
                    device.restore_state(copy);
                    device.start();
                }
            }
            Fault::StateForget { .. } => {
                // A copy from before names a marker that the root will not carry any more.
                self.copies.remove(&device.number());
                self.forget_what_waits(&device);
                device.forget_state();
                device.start();
            }
            _ => {}
        }
    }

    /// What waits in the stage for a second look goes to the trash with the state that told of it. Among it may be what was
    /// written in the last moment before a file was replaced, and nobody can tell that from the versions that were replaced.
    fn forget_what_waits(&self, device: &Arc<SimDevice>) {
        let mut notes = open(&self.notes);
        for (path, entry) in device.user().whole_tree() {
            if let UserEntry::File { bytes, .. } = entry
                && path.starts_with(".cairn/stage/kept-")
            {
                notes.ledger.set_aside(content::name_of(&bytes));
            }
        }
    }

    /// What stood on the disk before and does not afterwards, the disk has lost: nobody could keep it. Of twins that is said
    /// when one is gone, as of those that a user takes away: the other one may be lost by another disk. What was written to
    /// a file in the last moment before it was replaced may stand in the stage only, and be lost from there.
    fn lose_power(&self, device: &Arc<SimDevice>, down_ms: u64) {
        let (tree_before, all_before) = (counted(device.disk()), held_by(device.disk()));
        self.let_go(device.number());
        device.power_loss(Some(Duration::from_millis(down_ms)));
        let (tree_after, all_after) = (counted(device.disk()), held_by(device.disk()));
        let mut notes = open(&self.notes);
        if let Some(model) = &mut notes.model {
            model.lost_power();
        }
        let fewer = tree_before
            .iter()
            .filter(|(content, count)| tree_after.get(content).unwrap_or(&0) < *count);
        let from_tree = fewer.map(|(content, _)| content);
        for content in from_tree.chain(all_before.difference(&all_after)) {
            notes.ledger.lost(*content);
        }
    }
}

/// How many files of a tree hold each content.
fn counted(disk: &SimDisk) -> BTreeMap<FileId, u64> {
    let mut counts = BTreeMap::new();
    for item in tree_of(disk).0.into_values() {
        if let Item::File { content, .. } = item {
            *counts.entry(content).or_default() += 1;
        }
    }
    counts
}

/// The contents of all files of a disk, those in `.cairn` among them.
fn held_by(disk: &SimDisk) -> BTreeSet<FileId> {
    let files = disk.user().whole_tree().into_values();
    files
        .filter_map(|entry| match entry {
            UserEntry::File { bytes, .. } => Some(content::name_of(&bytes)),
            _ => None,
        })
        .collect()
}

const fn device_of(fault: &Fault) -> Option<usize> {
    match fault {
        Fault::KillAtPoll { device, .. }
        | Fault::KillAtCall { device, .. }
        | Fault::PowerLoss { device, .. }
        | Fault::Stop { device }
        | Fault::Start { device }
        | Fault::DiskFull { device, .. }
        | Fault::DiskRoom { device }
        | Fault::DiskError { device, .. }
        | Fault::SyncError { device }
        | Fault::ReadOnly { device }
        | Fault::Writable { device }
        | Fault::Unmount { device }
        | Fault::Mount { device }
        | Fault::ClockJump { device, .. }
        | Fault::WatcherOff { device }
        | Fault::WatcherOn { device }
        | Fault::Overflow { device }
        | Fault::Pause { device }
        | Fault::Resume { device }
        | Fault::Release { device }
        | Fault::StateCopy { device }
        | Fault::StateRestore { device }
        | Fault::StateForget { device } => Some(*device),
        _ => None,
    }
}
