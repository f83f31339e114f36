//! What breaks, and what an operator does about it.

use super::words::verbs;

verbs! {
    /// What breaks, or is mended. Devices are named by their number.
    Fault
    /// The network of a device loses, doubles, delays and cuts from now on, each with so many in a thousand.
    Network "network" {
        /// The device.
        device: usize,
        /// Requests that do not arrive.
        lost: u64,
        /// Answers that do not arrive although the request did.
        reply_lost: u64,
        /// Requests that arrive twice.
        doubled: u64,
        /// Bodies that are cut on their way.
        cut: u64,
        /// The longest delay in milliseconds.
        delay_ms: u64,
    }
    /// The network of a device is as it should be again.
    NetworkMended "network-mended" {
        /// The device.
        device: usize,
    }
    /// A device has no network from now on.
    Partition "partition" {
        /// The device.
        device: usize,
    }
    /// The daemon is killed after so many polls of its tasks, and started again later.
    KillAtPoll "kill-at-poll" {
        /// The device.
        device: usize,
        /// Polls.
        polls: u64,
        /// Milliseconds until it is started again.
        down_ms: u64,
    }
    /// The daemon is killed after so many calls of its disk, and started again later.
    KillAtCall "kill-at-call" {
        /// The device.
        device: usize,
        /// Calls.
        calls: u64,
        /// Milliseconds until it is started again.
        down_ms: u64,
    }
    /// The machine loses power, and what was not written out; it starts again later.
    PowerLoss "power-loss" {
        /// The device.
        device: usize,
        /// Milliseconds until it starts again.
        down_ms: u64,
    }
    /// The daemon is stopped as a user stops it.
    Stop "stop" {
        /// The device.
        device: usize,
    }
    /// The daemon is started when it does not run.
    Start "start" {
        /// The device.
        device: usize,
    }
    /// The disk has room for so many bytes from now on.
    DiskFull "disk-full" {
        /// The device.
        device: usize,
        /// Bytes.
        room: u64,
    }
    /// The disk has room again.
    DiskRoom "disk-room" {
        /// The device.
        device: usize,
    }
    /// The daemon's next calls fail with an error of the device.
    DiskError "disk-error" {
        /// The device.
        device: usize,
        /// After so many calls that succeed.
        after: u64,
        /// How many fail.
        count: u64,
    }
    /// The next sync of the daemon fails, and what it should have written out is lost with the power.
    SyncError "sync-error" {
        /// The device.
        device: usize,
    }
    /// The disk can only be read from now on.
    ReadOnly "read-only" {
        /// The device.
        device: usize,
    }
    /// The disk can be written again.
    Writable "writable" {
        /// The device.
        device: usize,
    }
    /// The folder's filesystem is not mounted from now on.
    Unmount "unmount" {
        /// The device.
        device: usize,
    }
    /// It is mounted again.
    Mount "mount" {
        /// The device.
        device: usize,
    }
    /// The clock of a device jumps.
    ClockJump "clock-jump" {
        /// The device.
        device: usize,
        /// By so many milliseconds.
        by_ms: i64,
    }
    /// Nobody tells the daemon what changes from now on.
    WatcherOff "watcher-off" {
        /// The device.
        device: usize,
    }
    /// The daemon is told again.
    WatcherOn "watcher-on" {
        /// The device.
        device: usize,
    }
    /// More changed than could be told.
    Overflow "overflow" {
        /// The device.
        device: usize,
    }
    /// The user pauses syncing.
    Pause "pause" {
        /// The device.
        device: usize,
    }
    /// The user resumes it.
    Resume "resume" {
        /// The device.
        device: usize,
    }
    /// The user says that a held mass deletion is meant.
    Release "release" {
        /// The device.
        device: usize,
    }
    /// The server dies and starts again later.
    ServerCrash "server-crash" {
        /// Milliseconds until it starts again.
        down_ms: u64,
    }
    /// A backup of the server is made.
    ServerBackup "server-backup" {}
    /// The server is restored from its backup.
    ServerRestore "server-restore" {}
    /// The server is replaced by an empty one with the same accounts.
    ServerNew "server-new" {}
    /// A copy of the device's state is set aside.
    StateCopy "state-copy" {
        /// The device.
        device: usize,
    }
    /// The device's state is replaced by the copy.
    StateRestore "state-restore" {
        /// The device.
        device: usize,
    }
    /// The device's state is lost.
    StateForget "state-forget" {
        /// The device.
        device: usize,
    }
    /// Time passes.
    Wait "wait" {
        /// Milliseconds.
        ms: u64,
    }
}
