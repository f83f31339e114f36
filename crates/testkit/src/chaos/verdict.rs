//! Whether everything that had to be kept is there.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use blake3::Hash;

use super::lives::Lives;
use super::polls::Polls;
use super::report::Report;
use crate::editor::PUTS;
use crate::ledger::{Entry, Ledger};
use crate::tree::Listing;

/// Lost contents that are named.
const SHOWN: usize = 20;

/// What is known of the time before.
pub(super) struct Past<'a> {
    /// The devices' names, in the order of their lives.
    pub(super) writers: [&'a str; 2],
    pub(super) lives: &'a Lives,
    pub(super) polls: &'a [Polls; 2],
}

/// What is left when all has settled.
pub(super) struct Left<'a> {
    /// Either folder.
    pub(super) listing: &'a Listing,
    /// The contents of all versions that the server has.
    pub(super) versions: &'a HashSet<Hash>,
}

/// Judges what people wrote by what is left.
///
/// # Errors
/// What is lost, or was never written.
pub(super) fn judge(left: &Left<'_>, ledger: &Ledger, past: &Past<'_>, report: &mut Report) -> Result<()> {
    nothing_is_strange(left.listing, ledger)?;
    let (mut lost, mut lost_versions) = (Vec::new(), Vec::new());
    let files = left.listing.contents();
    for (content, entry) in ledger.entries() {
        report.written += 1;
        let is_in_file = files.contains(&content);
        let Some((_, gone)) = &entry.gone else {
            report.survived += 1;
            if !is_in_file {
                lost.push(described(&content, &entry));
            }
            continue;
        };
        let device = past.writers.iter().position(|name| *name == entry.writer);
        let device = device.context("somebody wrote who has no device")?;
        let has_stood = past.polls[device].cover(device + 1, past.lives, entry.settled, *gone);
        let is_kept = is_in_file || left.versions.contains(&content);
        if count_promise(&entry, has_stood, report) {
            if !is_kept {
                lost_versions.push(described(&content, &entry));
            }
        } else if !is_kept {
            report.unsaved += 1;
            let calm = past.lives.longest_calm(device + 1, entry.since, *gone);
            report.unsaved_stood = report.unsaved_stood.max(calm);
        }
    }
    report.versions = left.versions.len();
    ensure!(
        lost.is_empty(),
        "{} of {} contents that nobody took away are in no file:\n{}",
        lost.len(),
        report.survived,
        shown(&lost)
    );
    ensure!(
        lost_versions.is_empty(),
        "{} of {} contents that were taken away later are in no file and in no version:\n{}",
        lost_versions.len(),
        report.promised.all,
        shown(&lost_versions)
    );
    Ok(())
}

fn nothing_is_strange(listing: &Listing, ledger: &Ledger) -> Result<()> {
    let strays =
        listing.named(|name| !(name.starts_with("file ") || name.starts_with("folder ") || name == PUTS));
    ensure!(strays.is_empty(), "nobody made these: {strays:?}");
    let strange = ledger.strange();
    ensure!(strange.is_empty(), "nobody wrote what people met: {strange:?}");
    Ok(())
}

/// Counts why a content that was taken away must be found; says whether it must.
fn count_promise(entry: &Entry, has_stood: bool, report: &mut Report) -> bool {
    let promised = &mut report.promised;
    let has_travelled = entry.has_travelled();
    promised.stood += usize::from(has_stood);
    promised.reported += usize::from(entry.is_reported);
    promised.travelled += usize::from(has_travelled);
    let is_promised = has_stood || entry.is_reported || has_travelled;
    promised.all += usize::from(is_promised);
    is_promised
}

fn shown(lines: &[String]) -> String {
    lines
        .iter()
        .take(SHOWN)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("\n")
}

fn described(content: &Hash, entry: &Entry) -> String {
    let end = entry.gone.as_ref().map_or_else(
        || "and stands".to_owned(),
        |(taker, at)| format!("and was taken away by {taker} at {:.2} s", at.as_secs_f64()),
    );
    let reported = if entry.is_reported { ", reported" } else { "" };
    format!(
        "{}: {} wrote it at {:.2} s, moved it last at {:.2} s {end}{reported}",
        &content.to_hex()[..12],
        entry.writer,
        entry.since.as_secs_f64(),
        entry.settled.as_secs_f64()
    )
}
