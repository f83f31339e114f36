//! What the user decided about two versions, wherever it is cut.

use super::fixture::Side;
use crate::applier::ApplyError;
use crate::fs::faulty::Fault;
use crate::fs::{Filesystem, Fingerprint};
use crate::scanner::tests::fixture::disk_path;

fn state_of(side: &Side, path: &str) -> Fingerprint {
    let found = side.device.fs.metadata(&disk_path(path)).unwrap();
    found.unwrap().fingerprint
}

fn crash_before() -> Fault {
    Fault::Hook(Box::new(|| panic!("the process dies here")))
}

#[tokio::test]
async fn a_swap_is_made_or_undone_wherever_it_stopped() {
    for (call, fault, is_done) in [
        ("displace", crash_before(), false),
        ("displace", Fault::CrashAfter, false),
        ("exchange", crash_before(), false),
        ("exchange", Fault::CrashAfter, true),
        ("restage", crash_before(), true),
        ("restage", Fault::CrashAfter, true),
    ] {
        let side = Side::new();
        let (node, _) = side.synced_file("a", "theirs").await;
        side.device.write("copy", "mine");
        side.device.scan().await;
        let (original, copy) = (state_of(&side, "a"), state_of(&side, "copy"));
        side.device.fs.inject(call, fault);
        side.dies(|applier| async move {
            let (a, beside) = (disk_path("a"), disk_path("copy"));
            applier.swap_with((node, &a, original), (&beside, copy)).await
        })
        .await;
        side.applier().recover().await.unwrap();
        side.assert_settled().await;
        assert_eq!(
            side.device.read("a"),
            if is_done { "mine" } else { "theirs" },
            "{call}"
        );
        assert_eq!(side.device.exists("copy"), !is_done, "{call}");
        for text in ["mine", "theirs"] {
            assert!(side.texts().contains(&text.to_owned()), "{call}: {text}");
        }
        side.device.scan().await;
        assert_eq!(
            side.device.row("a").await.node,
            node,
            "an edit of the file that was there"
        );
    }
}

#[tokio::test]
async fn what_changed_since_it_was_looked_at_is_not_touched() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "theirs").await;
    side.device.write("copy", "mine");
    let (original, copy) = (state_of(&side, "a"), state_of(&side, "copy"));
    side.device.write("a", "written meanwhile");
    let (a, beside) = (disk_path("a"), disk_path("copy"));
    let swapped = side
        .applier()
        .swap_with((node, &a, original), (&beside, copy))
        .await;
    assert!(matches!(swapped, Err(ApplyError::Changed { .. })), "{swapped:?}");
    let taken = side.applier().take_away(node, &a, original).await;
    assert!(matches!(taken, Err(ApplyError::Changed { .. })), "{taken:?}");
    assert_eq!(side.device.read("a"), "written meanwhile");
    assert_eq!(side.device.read("copy"), "mine");
    side.assert_settled().await;
}
