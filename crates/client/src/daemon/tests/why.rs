//! What is said of a path.

use super::{Command, Daemon, Device, parts};
use crate::reason::Reason;

#[tokio::test]
async fn what_would_be_read_again_waits_while_syncing_is_paused() {
    let device = Device::new();
    device.write("f", "new");
    device.scan().await;
    let mut row = device.row("f").await;
    row.is_unsure = true;
    device.put_row(row).await;
    let daemon = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone())
        .await
        .unwrap();
    let code = async || daemon.why("f").await.unwrap().code;
    assert_eq!(code().await.as_deref(), Some(Reason::Unsure.code()));
    // A pass that was under way read it right after it was written; the next one waits.
    daemon.command(Command::Pause);
    assert_eq!(code().await.as_deref(), Some(Reason::Paused.code()));
}
