//! What must hold when nothing moves: docs/testing.md names the invariants.

mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use cairn_core::conflict::copy_name;
use cairn_core::ids::FileId;
use cairn_core::name::NodeName;
use cairn_core::rev::Seq;

use crate::actions::{open, tree_of};
use crate::device::Exit;
use crate::run::{Failure, Stage};
use crate::tree::{Closeness, Tree};
use server::Kept;

/// The longest virtual time until everything rests.
const PATIENCE: Duration = Duration::from_secs(4 * 3_600);
/// How long displaced files wait for their second look, and a minute.
const SECOND_LOOK: Duration = Duration::from_secs(11 * 60);
/// How long it takes until all files were read again, and an hour: after the machine went off while the folder was followed,
/// and while it was not.
const REREAD_ROUNDS: [Duration; 2] = [
    Duration::from_secs(25 * 3_600),
    Duration::from_secs((30 * 24 + 1) * 3_600),
];
/// Lost contents that are named.
const SHOWN: usize = 5;

type Checked<T = ()> = Result<T, Failure>;

/// Lets everything settle and checks what must hold then.
pub(crate) async fn at_rest(stage: &Stage) -> Checked {
    settle(stage).await?;
    let mut kept = server::read(stage).await?;
    if waits_for_a_second_look(stage, &kept) {
        tokio::time::sleep(SECOND_LOOK).await;
        settle(stage).await?;
        kept = server::read(stage).await?;
    }
    for round in REREAD_ROUNDS {
        if same_everywhere(stage, &kept.tree).is_ok() || !hides_a_write(stage) {
            break;
        }
        tokio::time::sleep(round).await;
        settle(stage).await?;
        kept = server::read(stage).await?;
    }
    same_everywhere(stage, &kept.tree)?;
    as_the_model_says(stage, &kept.tree)?;
    nothing_lost(stage, &kept)?;
    stages_are_empty(stage)?;
    no_storm(stage, &kept.tree)?;
    let mut notes = open(&stage.notes);
    notes.ledger.agreed(&kept.tree.contents());
    if let Some(model) = &mut notes.model {
        model.is_at_rest(&kept.tree);
    }
    Ok(())
}

/// The same, and what is only looked at once: that a further pass does nothing, that the journal tells the tree, and that a
/// new device gets all of it.
pub(crate) async fn at_the_end(stage: &Stage) -> Checked {
    at_rest(stage).await?;
    server::journal_tells_the_tree(stage).await?;
    another_pass_does_nothing(stage).await?;
    a_new_device_gets_all(stage).await
}

/// What the server holds.
pub(crate) async fn server_tree(stage: &Stage) -> Checked<Tree> {
    Ok(server::read(stage).await?.tree)
}

async fn settle(stage: &Stage) -> Checked {
    let rested = stage.world.quiesce(PATIENCE).await;
    // A daemon may end on a disk that it cannot write, to be started again when it can.
    let is_of_disk =
        |exit: &Exit| exit.error.contains("read-only") || exit.error.contains("no storage space");
    if let Some(exit) = stage.world.failures().iter().find(|exit| !is_of_disk(exit)) {
        let what = format!("device {} in life {}: {}", exit.device, exit.life, exit.error);
        return Err(Failure::new("no daemon ends by itself", what));
    }
    rested.map_err(|restless| {
        let invariant = if restless.is_livelock {
            "planning comes to an end"
        } else {
            "everything comes to rest in sync"
        };
        Failure::new(invariant, restless.to_string())
    })
}

fn closeness(stage: &Stage) -> Closeness {
    let disks = stage.world.devices().iter().map(|device| device.disk().options());
    Closeness {
        // A name in another normal form alone is no change: it stays on the disk that has it and is never sent.
        ignores_form: true,
        mtime_step_ns: disks.map(|disk| disk.timestamp_step_ns).max(),
    }
}

/// Q1.
fn same_everywhere(stage: &Stage, server: &Tree) -> Checked {
    let closeness = closeness(stage);
    for device in stage.world.devices() {
        let lines = tree_of(device.disk()).differences(server, closeness);
        none(
            "all trees are equal",
            &format!("{} (left) and server", device.name()),
            &lines,
        )?;
    }
    Ok(())
}

fn as_the_model_says(stage: &Stage, server: &Tree) -> Checked {
    let notes = open(&stage.notes);
    let Some(model) = &notes.model else {
        return Ok(());
    };
    let keeps_exec =
        |device: &std::sync::Arc<crate::device::SimDevice>| device.disk().options().keeps_exec_bit;
    let compares_exec = stage.world.devices().iter().all(keeps_exec);
    let lines = model.differences(server, compares_exec);
    none(
        "a plain map of what the user did is what stands",
        "map (left) and server",
        &lines,
    )
}

/// Whether something that must stand does not, and a device has yet to look again at what it displaced: what a program wrote
/// to it in the last moment, with the times set back, is known then and becomes a copy.
fn waits_for_a_second_look(stage: &Stage, kept: &Kept) -> bool {
    let standing = kept.tree.contents();
    let notes = open(&stage.notes);
    let is_lost = notes
        .ledger
        .must_stand()
        .any(|(content, _)| !standing.contains(&content));
    is_lost && count_waiting(stage) > 0
}

/// Whether a disk may hold bytes that nothing but reading them tells of: a daemon does that in its time.
fn hides_a_write(stage: &Stage) -> bool {
    let mut devices = stage.world.devices().iter();
    devices.any(|device| device.has_hidden_write())
}

/// Q4 and I1.
fn nothing_lost(stage: &Stage, kept: &Kept) -> Checked {
    let notes = open(&stage.notes);
    let standing = kept.tree.contents();
    let lost = notes
        .ledger
        .must_stand()
        .filter(|(content, _)| !standing.contains(content));
    let lost: Vec<String> = lost
        .map(|(content, written)| told(stage, content, written, kept))
        .collect();
    none("what nobody took away stands somewhere", "lost", &lost)?;
    let forgotten = notes.ledger.must_be_remembered().filter(|(content, _)| {
        // What still stands is checked above.
        !kept.history.contains(content)
    });
    let forgotten: Vec<String> = forgotten
        .map(|(content, written)| told(stage, content, written, kept))
        .collect();
    none(
        "what was agreed upon stays in the history",
        "forgotten",
        &forgotten,
    )
}

fn told(stage: &Stage, content: FileId, written: &crate::ledger::Written, kept: &Kept) -> String {
    let mut places = Vec::new();
    for device in stage.world.devices() {
        let all = device.user().whole_tree();
        let holding = all.iter().filter(|(_, entry)| {
            matches!(entry, crate::disk::UserEntry::File { bytes, .. } if crate::content::name_of(bytes) == content)
        });
        places.extend(holding.map(|(path, _)| format!("{}:{path}", device.name())));
    }
    let place = if kept.history.contains(&content) {
        "in the history"
    } else {
        "nowhere on the server"
    };
    let text = content.to_string();
    format!(
        "{} written by step {} on device{} at {:?}: {place}, {}",
        text.get(..8).unwrap_or(&text),
        written.step,
        written.device,
        written.path,
        if places.is_empty() {
            "on no disk".to_owned()
        } else {
            format!("on {}", places.join(", "))
        }
    )
}

/// Q2. What was displaced is kept for a while, since a program may still write to it.
fn stages_are_empty(stage: &Stage) -> Checked {
    for device in stage.world.devices() {
        let staged: Vec<String> = device
            .user()
            .whole_tree()
            .into_keys()
            .filter(|path| path.starts_with(".cairn/stage/") && !path.starts_with(".cairn/stage/kept-"))
            .collect();
        none("nothing is left in the stage", device.name(), &staged)?;
    }
    Ok(())
}

/// A conflict makes one copy on each device at most, and a copy of a copy is named as one of the original.
fn no_storm(stage: &Stage, server: &Tree) -> Checked {
    let copies = server.conflicted_copies();
    let notes = open(&stage.notes);
    let most = (notes.ledger.len() as u64 + notes.made) as usize * stage.world.devices().len();
    if copies.len() > most {
        return Err(Failure::new(
            "conflicts do not multiply",
            format!("{} copies, {most} at most: {copies:?}", copies.len()),
        ));
    }
    let again: Vec<&&str> = copies
        .iter()
        .filter(|path| path.split('/').any(|name| suffixes(name) > 1))
        .collect();
    if again.is_empty() {
        Ok(())
    } else {
        Err(Failure::new("conflicts do not multiply", format!("{again:?}")))
    }
}

/// How many times a name says that it is a conflicted copy, at its end: what users put behind is their own.
fn suffixes(name: &str) -> usize {
    let copy = |name: &str| NodeName::new(name).ok().and_then(|name| copy_name(&name));
    let all = std::iter::successors(copy(name), |outer| copy(&outer.original));
    all.filter(|copy| copy.device.is_some()).count()
}

/// Q5. What was displaced is let go of when its time has come: a pass with which it goes is no further one.
async fn another_pass_does_nothing(stage: &Stage) -> Checked {
    let mut waiting = count_waiting(stage);
    loop {
        let before = standing(stage).await;
        stage.world.devices().iter().for_each(|device| device.sync_now());
        settle(stage).await?;
        let after = standing(stage).await;
        if before == after {
            return Ok(());
        }
        let left = count_waiting(stage);
        if left >= waiting {
            return Err(Failure::new(
                "a further pass does nothing",
                format!("before: {before:?}, after: {after:?}"),
            ));
        }
        waiting = left;
    }
}

/// How many displaced files wait for their second look, on all devices.
fn count_waiting(stage: &Stage) -> usize {
    let devices = stage.world.devices().iter();
    let paths = devices.flat_map(|device| device.user().whole_tree().into_keys());
    paths
        .filter(|path| path.starts_with(".cairn/stage/kept-"))
        .count()
}

/// Where the journal stands, and all that there is on the disks.
async fn standing(stage: &Stage) -> (Option<Seq>, Vec<blake3::Hash>) {
    let seq = stage.world.server().cursor().await.map(|cursor| cursor.seq);
    let disks = stage.world.devices().iter();
    (seq, disks.map(|device| device.disk().content_digest()).collect())
}

/// Every file can be had from the server, and having it changes nothing.
async fn a_new_device_gets_all(stage: &Stage) -> Checked {
    let Some(device) = stage.world.devices().first() else {
        return Ok(());
    };
    let (before, _) = standing(stage).await;
    device.kill();
    device.forget_state();
    device.disk().replace_root();
    settle(stage).await?;
    let kept = server::read(stage).await?;
    let lines = tree_of(device.disk()).differences(&kept.tree, closeness(stage));
    none(
        "a new device gets all",
        &format!("{} (left), emptied, and server", device.name()),
        &lines,
    )?;
    same_everywhere(stage, &kept.tree)?;
    let (after, _) = standing(stage).await;
    if before == after {
        Ok(())
    } else {
        Err(Failure::new(
            "a new device changes nothing",
            format!("the journal went from {before:?} to {after:?}"),
        ))
    }
}

/// Fails when there is anything to be told.
fn none(invariant: &str, who: &str, lines: &[String]) -> Checked {
    if lines.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = lines.iter().take(SHOWN).map(String::as_str).collect();
    Err(Failure::new(
        invariant,
        format!("{who}: {} in all: {}", lines.len(), shown.join("; ")),
    ))
}

/// Contents by their names.
type Contents = BTreeSet<FileId>;
