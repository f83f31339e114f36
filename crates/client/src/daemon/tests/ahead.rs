//! What is sent while a scan goes on.

use std::sync::{Arc, mpsc};

use super::listing::{cursor, nothing_new};
use super::{DEADLINE, Daemon, Device, FakeRemote, Fault, Work, parts};
use crate::daemon::DaemonParts;

/// A daemon that has listed an empty server.
pub(super) async fn listed(device: &Device) -> (Arc<FakeRemote>, Daemon) {
    let remote = Arc::new(FakeRemote::default());
    let parts = DaemonParts {
        remote: Arc::clone(&remote) as _,
        ..parts(device, Vec::new())
    };
    let daemon = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    remote.faults(|says| says.changes = [nothing_new(cursor(device, 1, 0))].into());
    daemon.run_once().await.unwrap();
    assert_eq!(remote.commits().len(), 0);
    (remote, daemon)
}

/// Makes a folder with more than goes into the state at once, and one that is listed after it.
fn write_much(device: &Device) {
    for folder in ["a", "b"] {
        std::fs::create_dir(device.path(folder)).unwrap();
    }
    for index in 0..1_100 {
        device.write(&format!("a/{index}"), &format!("{index}"));
    }
    device.write("b/last", "last");
}

/// Has the scan do this before it lists the third folder.
fn before_the_third_folder(device: &Device, hook: impl FnOnce() + Send + 'static) {
    for _ in 0..2 {
        device.fs.inject("list", Fault::Hook(Box::new(|| {})));
    }
    device.fs.inject("list", Fault::Hook(Box::new(hook)));
}

#[tokio::test]
async fn what_is_new_is_on_the_server_before_the_scan_ends() {
    let device = Device::new();
    let (remote, daemon) = listed(&device).await;
    write_much(&device);
    let (tell, told) = mpsc::channel();
    remote.faults(|says| says.on_put = Some(Box::new(move || tell.send(()).unwrap())));
    before_the_third_folder(&device, move || told.recv_timeout(DEADLINE).unwrap());
    daemon.settle(&mut Work::everything()).await.unwrap();
    let status = daemon.status().borrow().clone();
    assert_eq!((status.local_nodes, status.remote_nodes), (1_103, 1_103));
    assert_eq!(status.pending, 0);
}

#[tokio::test]
async fn nothing_is_sent_before_the_scan_ends_where_more_than_that_is_to_be_done() {
    let device = Device::new();
    let (remote, daemon) = listed(&device).await;
    device.write("c", "moves");
    daemon.settle(&mut Work::everything()).await.unwrap();
    let before = remote.commits().len();
    write_much(&device);
    std::fs::rename(device.path("c"), device.path("a/moved")).unwrap();
    let seen = Arc::clone(&remote);
    before_the_third_folder(&device, move || assert_eq!(seen.commits().len(), before));
    daemon.settle(&mut Work::everything()).await.unwrap();
    let status = daemon.status().borrow().clone();
    assert_eq!((status.local_nodes, status.pending), (1_104, 0));
}
