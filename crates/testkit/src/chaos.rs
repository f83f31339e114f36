//! Power cuts at random moments while people work, and what must be true afterwards.

mod lives;
mod polls;
mod report;
mod verdict;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use blake3::Hash;

use self::lives::{Lives, SERVER};
use self::polls::Polls;
pub use self::report::{Promised, Report};
use self::verdict::{Left, Past, judge};
use crate::deadline::{Observed, Stopwatch, eventually, pause};
use crate::device::{Device, PATIENCE};
use crate::editor::{Editor, PUTS};
use crate::history;
use crate::ledger::Ledger;
use crate::process::Process;
use crate::random::Random;
use crate::tree::{Listing, assert_same};
use crate::world::{EMAIL, PASSWORD, World};

/// How long two daemons may take to agree after the last kill.
const SETTLE: Duration = Duration::from_secs(120);
/// How often each device is asked how it is.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// Puts that follow one another closely; later ones are rare, so that a long run does not become one about transfers.
const CLOSE_PUTS: u64 = 200;
/// How long people work before they rest and ask whether all is in sync.
const WORK: Duration = Duration::from_secs(12);
/// How long they wait for the answer.
const REST_SECONDS: &str = "5";
/// One of so many lives is a long one, so that a daemon gets through what a start has to do.
const LONG_LIVES: u64 = 4;
/// How many times longer it may be.
const LONGER: u64 = 5;

/// When it is enough.
#[derive(Debug, Clone, Copy)]
pub enum Extent {
    /// After so many kills.
    Kills(u32),
    /// With the first kill after this time.
    Time(Duration),
}

/// What is to happen.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Decides who is killed, when, and what people do.
    pub seed: u64,
    /// How long.
    pub extent: Extent,
    /// The longest time between a start and the next kill, in milliseconds; one in four may be five times as long.
    pub longest_life_ms: u64,
}

/// What the people who work write down.
#[derive(Default)]
struct Notes {
    stop: AtomicBool,
    /// People rest while it is asked whether all is in sync.
    rest: AtomicBool,
    edits: AtomicU64,
    reports: AtomicU64,
    puts_failed: AtomicU64,
    puts: Mutex<Vec<(String, Hash)>>,
}

/// Two devices keep a folder in sync while two people edit and a third puts files, and everything is killed again and
/// again. At the end the folders must be equal, hold every content that nobody took away and nothing that nobody made;
/// every content that was taken away must be in a file or in a version of the server if its device had made a whole pass
/// while it stood, or had said that all is in sync, or it had come to the other device; and every put that was
/// acknowledged must be readable.
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
    let mut lives = Lives::default();
    let polls = <[Polls; 2]>::default();
    let mut putting = random.fork();
    let mut daemons = thread::scope(|scope| {
        let workers: Vec<_> = editors
            .into_iter()
            .map(|editor| scope.spawn(|| edit(editor, &notes)))
            .collect();
        let putting = scope.spawn(|| put(&putter, &mut putting, &notes));
        let asking = scope.spawn(|| ask(&devices, &ledger, &notes));
        let polling = scope.spawn(|| poll(&devices, &polls, &ledger, &notes));
        let mut killer = Killer {
            world,
            devices: &devices,
            ledger: &ledger,
            lives: &mut lives,
            kills: &mut report.kills,
        };
        let outcome = killer.kill_again_and_again(plan, &mut random);
        notes.stop.store(true, Ordering::SeqCst);
        for worker in workers.into_iter().chain([putting, asking, polling]) {
            worker.join().ok().context("a worker panicked")??;
        }
        outcome
    })?;
    report.edits = notes.edits.load(Ordering::SeqCst);
    report.reports = notes.reports.load(Ordering::SeqCst);
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
    report.files = listing.files();
    report.conflicts = listing.named(|name| name.contains("conflict")).len();
    let left = Left {
        listing: &listing,
        versions: &history::contents(world.server.address()?, EMAIL, PASSWORD)?,
    };
    let past = Past {
        writers: [devices[0].name(), devices[1].name()],
        lives: &lives,
        polls: &polls,
    };
    judge(&left, &ledger, &past, &mut report)?;
    report.puts_acknowledged = read_back(&putter, notes)?;
    Ok(report)
}

/// Reads every put that was acknowledged; returns how many there are.
fn read_back(putter: &Device, notes: Notes) -> Result<u64> {
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
    Ok(puts.len() as u64)
}

fn edit(mut editor: Editor, notes: &Notes) -> Result<()> {
    let mut random = Random::new(1);
    while !notes.stop.load(Ordering::SeqCst) {
        if !notes.rest.load(Ordering::SeqCst) {
            editor.step()?;
            notes.edits.fetch_add(1, Ordering::SeqCst);
        }
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
        let longest = if number < CLOSE_PUTS { 200 } else { 4_000 };
        pause(Duration::from_millis(random.below(longest)));
    }
    Ok(())
}

/// Lets people rest from time to time, and takes each device at its word when it says that all is in sync. It may be
/// killed meanwhile, or wait for a server that is: then it says nothing.
fn ask(devices: &[Device; 2], ledger: &Ledger, notes: &Notes) -> Result<()> {
    let mut working = Stopwatch::start();
    while !notes.stop.load(Ordering::SeqCst) {
        if working.elapsed() < WORK {
            pause(Duration::from_millis(100));
            continue;
        }
        notes.rest.store(true, Ordering::SeqCst);
        for device in devices {
            let asked = ledger.standing(device.name());
            if device.run(&["wait", "--timeout", REST_SECONDS])?.code == Some(0) {
                ledger.reported(&asked);
                notes.reports.fetch_add(1, Ordering::SeqCst);
            }
        }
        notes.rest.store(false, Ordering::SeqCst);
        working = Stopwatch::start();
    }
    Ok(())
}

/// Asks each device how it is, as often as that makes sense. One that does not run says nothing.
fn poll(devices: &[Device; 2], polls: &[Polls; 2], ledger: &Ledger, notes: &Notes) -> Result<()> {
    while !notes.stop.load(Ordering::SeqCst) {
        for (device, polls) in devices.iter().zip(polls) {
            let asked = ledger.now();
            let told = device.run(&["status", "--json"])?;
            if told.code == Some(0) {
                polls.note(asked, ledger.now(), &serde_json::from_slice(&told.stdout)?);
            }
        }
        pause(POLL_EVERY);
    }
    Ok(())
}

/// Kills, and notes who lived when.
struct Killer<'a> {
    world: &'a mut World,
    devices: &'a [Device; 2],
    ledger: &'a Ledger,
    lives: &'a mut Lives,
    kills: &'a mut [u32; 3],
}

impl Killer<'_> {
    /// Returns the daemons, which run, beside a server that runs.
    fn kill_again_and_again(&mut self, plan: Plan, random: &mut Random) -> Result<Vec<Process>> {
        self.lives.begin(SERVER, self.ledger.now());
        let mut daemons = vec![self.daemon(1)?, self.daemon(2)?];
        let since = Stopwatch::start();
        let mut number = 0;
        while match plan.extent {
            Extent::Kills(kills) => number < kills,
            Extent::Time(time) => since.elapsed() < time,
        } {
            let longer = if random.below(LONG_LIVES) == 0 { LONGER } else { 1 };
            pause(Duration::from_millis(random.below(plan.longest_life_ms * longer)));
            // The first three kills meet each of them once.
            let victim = if number < 3 {
                number as usize
            } else {
                random.below(3) as usize
            };
            self.kills[victim] += 1;
            self.lives.end(victim, self.ledger.now());
            if victim == SERVER {
                self.world.server.kill()?;
                pause(Duration::from_millis(random.below(plan.longest_life_ms / 4)));
                let started = self.world.server.start();
                started.with_context(|| format!("after kill {number}"))?;
                self.lives.begin(SERVER, self.ledger.now());
            } else {
                let killed = daemons.remove(victim - 1).kill();
                killed.with_context(|| format!("before kill {number}"))?;
                daemons.insert(victim - 1, self.daemon(victim)?);
            }
            number += 1;
        }
        Ok(daemons)
    }

    fn daemon(&mut self, member: usize) -> Result<Process> {
        let daemon = self.devices[member - 1].daemon()?;
        self.lives.begin(member, self.ledger.now());
        Ok(daemon)
    }
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
