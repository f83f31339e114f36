//! Power cuts at random moments while people work, and what must be true afterwards.

use std::fmt;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blake3::Hash;

use crate::deadline::{Observed, Stopwatch, eventually, pause};
use crate::device::{Device, PATIENCE};
use crate::editor::{Editor, Ledger, PUTS};
use crate::process::Process;
use crate::random::Random;
use crate::tree::{Listing, assert_same};
use crate::world::World;

/// How long two daemons may take to agree after the last kill.
const SETTLE: Duration = Duration::from_secs(120);
/// What is to happen.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides who is killed, when, and what people do.
    pub seed: u64,
    /// Kills.
    pub kills: u32,
    /// The longest time between a start and the next kill, in milliseconds.
    pub longest_life_ms: u64,
}

/// What did happen.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Kills of the server, the first and the second daemon.
    pub kills: [u32; 3],
    /// Changes in the two folders.
    pub edits: u64,
    /// `cairn put` that exited 0; every one of them was read back.
    pub puts_acknowledged: u64,
    /// `cairn put` that failed, since the server was away.
    pub puts_failed: u64,
    /// Files on each device at the end, and their bytes.
    pub files: (usize, u64),
    /// Conflicted copies among them.
    pub conflicts: usize,
    /// Contents that had to survive, and did.
    pub survived: usize,
    /// From the last kill until both folders were equal.
    pub settled_after: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [server, first, second] = self.kills;
        writeln!(
            f,
            "kills               {} (server {server}, devices {first} and {second})",
            server + first + second
        )?;
        writeln!(f, "edits               {}", self.edits)?;
        writeln!(
            f,
            "puts                {} read back, {} failed",
            self.puts_acknowledged, self.puts_failed
        )?;
        writeln!(
            f,
            "files at the end    {} of {} bytes",
            self.files.0, self.files.1
        )?;
        writeln!(f, "conflicted copies   {}", self.conflicts)?;
        writeln!(f, "contents survived   {}", self.survived)?;
        write!(f, "equal after         {:.1} s", self.settled_after.as_secs_f64())
    }
}

/// What the people who work write down.
#[derive(Default)]
struct Notes {
    stop: AtomicBool,
    edits: AtomicU64,
    puts_failed: AtomicU64,
    puts: Mutex<Vec<(String, Hash)>>,
}

/// Two devices keep a folder in sync while two people edit and a third puts files, and everything is killed again and
/// again. At the end the folders must be equal, hold every content that nobody took away and nothing that nobody made, and
/// every put that was acknowledged must be readable.
///
/// # Errors
/// Whatever of that is not so.
pub fn run(world: &mut World, plan: Plan) -> Result<Report> {
    let mut random = Random::new(plan.seed);
    let devices = [world.device("ada")?, world.device("bob")?];
    let putter = world.device("putter")?;
    putter.run(&["mkdir", &format!("/{PUTS}")])?.success()?;
    let ledger = Ledger::default();
    let mut editors = Vec::new();
    for device in &devices {
        editors.push(Editor::new(
            device.folder(),
            device.name(),
            random.next(),
            &ledger,
        )?);
    }
    let notes = Notes::default();
    let mut report = Report::default();
    let mut putting = random.fork();
    let mut daemons = thread::scope(|scope| {
        let workers: Vec<_> = editors
            .into_iter()
            .map(|editor| scope.spawn(|| edit(editor, &notes)))
            .collect();
        let putting = scope.spawn(|| put(&putter, &mut putting, &notes));
        let outcome = kill_again_and_again(world, &devices, plan, &mut random, &mut report);
        notes.stop.store(true, Ordering::SeqCst);
        for worker in workers.into_iter().chain([putting]) {
            worker.join().ok().context("a worker panicked")??;
        }
        outcome
    })?;
    report.edits = notes.edits.load(Ordering::SeqCst);
    report.puts_failed = notes.puts_failed.load(Ordering::SeqCst);
    let since = Stopwatch::start();
    let listing = settle(&devices, &mut daemons)?;
    report.settled_after = since.elapsed();
    for daemon in daemons {
        daemon.interrupt(PATIENCE)?.success()?;
    }
    for device in &devices {
        device.sync_once()?;
    }
    assert_same(&devices[0], &devices[1])?;
    check(&listing, &ledger, &mut report)?;
    let puts = notes.puts.into_inner().unwrap_or_default();
    for (path, content) in &puts {
        let read = putter
            .cat(path)
            .with_context(|| format!("{path} was acknowledged"))?;
        ensure!(
            blake3::hash(&read) == *content,
            "{path} was acknowledged and reads differently"
        );
    }
    report.puts_acknowledged = puts.len() as u64;
    Ok(report)
}

fn edit(mut editor: Editor, notes: &Notes) -> Result<()> {
    let mut random = Random::new(1);
    while !notes.stop.load(Ordering::SeqCst) {
        editor.step()?;
        notes.edits.fetch_add(1, Ordering::SeqCst);
        pause(Duration::from_millis(random.below(80)));
    }
    Ok(())
}

fn put(device: &Device, random: &mut Random, notes: &Notes) -> Result<()> {
    let source = device.home().with_file_name("to put");
    let mut number = 0;
    while !notes.stop.load(Ordering::SeqCst) {
        number += 1;
        let length = random.below(300_000) as usize;
        let content = random.bytes(length);
        fs::write(&source, &content)?;
        let path = format!("/{PUTS}/file put {number}");
        let told = device.put(&source, &path, PATIENCE)?;
        if told.code == Some(0) {
            let mut puts = notes.puts.lock().ok().context("a worker panicked")?;
            puts.push((path, blake3::hash(&content)));
        } else {
            notes.puts_failed.fetch_add(1, Ordering::SeqCst);
        }
        pause(Duration::from_millis(random.below(200)));
    }
    Ok(())
}

/// Returns the daemons, which run, beside a server that runs.
fn kill_again_and_again(
    world: &mut World,
    devices: &[Device; 2],
    plan: Plan,
    random: &mut Random,
    report: &mut Report,
) -> Result<Vec<Process>> {
    let mut daemons = vec![devices[0].daemon()?, devices[1].daemon()?];
    for number in 0..plan.kills {
        pause(Duration::from_millis(random.below(plan.longest_life_ms)));
        // The first three kills meet each of them once.
        let victim = if number < 3 {
            number as usize
        } else {
            random.below(3) as usize
        };
        report.kills[victim] += 1;
        if victim == 0 {
            world.server.kill()?;
            pause(Duration::from_millis(random.below(plan.longest_life_ms / 4)));
            world
                .server
                .start()
                .with_context(|| format!("after kill {number}"))?;
        } else {
            let fresh = || devices[victim - 1].daemon();
            daemons
                .remove(victim - 1)
                .kill()
                .with_context(|| format!("before kill {number}"))?;
            daemons.insert(victim - 1, fresh()?);
        }
    }
    Ok(daemons)
}

/// Waits until both daemons say that they are in sync and both folders are equal.
fn settle(devices: &[Device; 2], daemons: &mut [Process]) -> Result<Listing> {
    eventually(SETTLE, "both folders are equal", || {
        for (device, daemon) in devices.iter().zip(daemons.iter_mut()) {
            if let Some(status) = daemon.ended()? {
                anyhow::bail!(
                    "the daemon of {} ended ({status}):\n{}",
                    device.name(),
                    daemon.output()
                );
            }
            let told = device.run(&["wait", "--timeout", "5"])?;
            if told.code != Some(0) {
                return Ok(Observed::NotYet(told.to_string()));
            }
        }
        // A daemon may be moving things while they are listed.
        let (Ok(first), Ok(second)) = (devices[0].listing(), devices[1].listing()) else {
            return Ok(Observed::NotYet("a folder changes while it is listed".to_owned()));
        };
        Ok(match first.same_as(&second) {
            Ok(()) => Observed::Done(first),
            Err(error) => Observed::NotYet(error.to_string()),
        })
    })
}

fn check(listing: &Listing, ledger: &Ledger, report: &mut Report) -> Result<()> {
    report.files = listing.files();
    report.conflicts = listing.named(|name| name.contains("conflict")).len();
    let strays =
        listing.named(|name| !(name.starts_with("file ") || name.starts_with("folder ") || name == PUTS));
    ensure!(strays.is_empty(), "nobody made these: {strays:?}");
    let contents = ledger.contents();
    let lost: Vec<&Hash> = contents
        .iter()
        .filter(|content| !listing.holds(content))
        .collect();
    ensure!(
        lost.is_empty(),
        "{} of {} contents are lost: {lost:?}",
        lost.len(),
        contents.len()
    );
    report.survived = contents.len();
    Ok(())
}
