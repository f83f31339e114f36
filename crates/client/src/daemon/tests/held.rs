//! A mass deletion that is held.

use super::ahead::listed;
use super::{Device, FAR, told};
use crate::fs::DiskPath;
use crate::watcher::Hint;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

#[tokio::test(start_paused = true)]
async fn a_mass_deletion_is_held_no_longer_than_until_the_files_are_back() {
    let device = Device::new();
    let (remote, daemon) = listed(&device).await;
    device.folder("a");
    for index in 0..1_100 {
        device.write(&format!("a/{index}"), "x");
    }
    daemon.run_once().await.unwrap();
    let sent = remote.commits().len();
    let outside = tempfile::tempdir_in(device.path("").parent().unwrap()).unwrap();
    let mut status = daemon.status();
    let stop = CancellationToken::new();
    let (tell, watch) = told();
    let running = async {
        daemon.run_with(watch, stop.clone()).await.unwrap();
    };
    let user = async {
        std::fs::rename(device.path("a"), outside.path().join("a")).unwrap();
        let root = || Hint::Folders(vec![DiskPath::root()]);
        tell.send(root()).unwrap();
        status
            .wait_for(|status| status.held_deletes == 1_101)
            .await
            .unwrap();
        std::fs::rename(outside.path().join("a"), device.path("a")).unwrap();
        tell.send(root()).unwrap();
        status.wait_for(|status| status.held_deletes == 0).await.unwrap();
        stop.cancel();
    };
    timeout(FAR, Box::pin(async { tokio::join!(running, user) }))
        .await
        .unwrap();
    assert_eq!(remote.commits().len(), sent, "nothing is deleted");
}
