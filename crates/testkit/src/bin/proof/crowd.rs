//! Many devices at one server, over TLS: what a connection costs that only waits, and how many commits a second are done.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cairn_api::frame::{ChunkFrame, Frame};
use cairn_api::sync::{CommitRequest, to_cbor};
use cairn_client::profile::Profile;
use cairn_client::progress::Progress;
use cairn_client::remote::Remote;
use cairn_client::remote::http::{CertificateFingerprint, HttpRemote, Trust};
use cairn_codec::encode_chunk;
use cairn_core::change::{GroupOutcome, Op};
use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::{ChunkHash, NodeId, OpId};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, Place};
use cairn_testkit::deadline::{Stopwatch, pause};
use cairn_testkit::process::{cpu_time, rss_bytes};
use cairn_testkit::random::Random;
use cairn_testkit::world::{EMAIL, PASSWORD, World};
use futures::StreamExt;
use futures::future::try_join_all;
use tokio::runtime::Runtime;

use crate::table::{Table, mebibytes, say};

/// Devices that are linked. The server takes 30 logins at once from one network, 20 of one account.
const DEVICES: usize = 25;
const SECOND_ACCOUNT: &str = "bob@example.org";
/// Streams that are opened at once, so that neither side's queue of new connections is full.
const OPENED_AT_ONCE: usize = 50;
/// Requests a second that one device may send are 200.
const BETWEEN_OPENINGS: Duration = Duration::from_millis(50);
/// For how long a crowd that waits is watched.
const WATCHED: Duration = Duration::from_secs(20);
/// Memory that one more connection may cost.
const CONNECTION_BYTES: u64 = 30 << 10;
/// For how long commits are made.
const COMMITTING: Duration = Duration::from_secs(20);
const FILE_BYTES: usize = 4_096;

/// A server with a certificate of its own, and devices that trust it.
struct Crowd {
    world: World,
    profiles: Vec<Profile>,
    trust: Trust,
}

impl Crowd {
    fn gather(dir: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let fingerprint = CertificateFingerprint::of(made.cert.der());
        let files = tempfile::tempdir()?;
        let path = |name: &str| files.path().join(name);
        fs::write(path("cert.pem"), made.cert.pem())?;
        fs::write(path("key.pem"), made.signing_key.serialize_pem())?;
        let (cert, key) = (path("cert.pem"), path("key.pem"));
        let world = World::with_server(dir, |_, server| {
            let options = [
                "--tls-cert",
                &cert.to_string_lossy(),
                "--tls-key",
                &key.to_string_lossy(),
            ];
            server.with_options(&options)
        })?;
        world.server.add_account(SECOND_ACCOUNT, PASSWORD)?;
        let fingerprint_text = fingerprint.to_string();
        let mut profiles = Vec::new();
        for number in 0..DEVICES {
            let device = world.stranger(&format!("device {number}"))?;
            let email = if number % 2 == 0 { EMAIL } else { SECOND_ACCOUNT };
            let more = ["--fingerprint", fingerprint_text.as_str()];
            device
                .login(world.server.url(), email, PASSWORD, &more)?
                .success()?;
            profiles.push(Profile::load(&device.home())?.context("the device is linked")?);
        }
        Ok(Self {
            world,
            profiles,
            trust: Trust::Pinned(fingerprint),
        })
    }

    /// A connection of its own for a member of the crowd.
    fn connect(&self, number: usize) -> Result<(Arc<HttpRemote>, &Profile)> {
        let profile = &self.profiles[number % self.profiles.len()];
        let token = profile.token.expose();
        let remote = HttpRemote::new(&profile.server, token, self.trust, Progress::new())?;
        Ok((Arc::new(remote), profile))
    }

    fn rss(&self) -> Result<u64> {
        rss_bytes(self.world.server.pid()?).context("the server is gone")
    }

    fn cpu(&self) -> Result<Duration> {
        cpu_time(self.world.server.pid()?).context("the server is gone")
    }
}

/// What connections cost that wait for news, as `most` of them come.
pub(crate) fn connections(dir: &Path, most: usize) -> Result<Table> {
    let mut table = Table::new("connections");
    let crowd = Crowd::gather(dir)?;
    let runtime = Runtime::new()?;
    let mut open = 0;
    let mut last = None;
    let mut steps: Vec<usize> = [1, 100, 1_000].into_iter().filter(|step| *step < most).collect();
    steps.push(most);
    for step in steps {
        while open < step {
            let more = (step - open).min(OPENED_AT_ONCE);
            let remotes = (open..open + more).map(|number| Ok(crowd.connect(number)?.0));
            let waiting = remotes
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .map(wait_for_news);
            runtime.block_on(try_join_all(waiting))?;
            open += more;
            pause(BETWEEN_OPENINGS);
        }
        say(&format!("{open} connections wait"));
        let before = crowd.cpu()?;
        pause(WATCHED);
        let cpu = (crowd.cpu()? - before).as_secs_f64() / WATCHED.as_secs_f64();
        let rss = crowd.rss()?;
        // Not those more than the first: the memory in which the devices' passwords were hashed goes back meanwhile.
        let (last_rss, last_open) = last.replace((rss, open)).unwrap_or((rss, open));
        let added = (open - last_open) as u64;
        let each = rss.saturating_sub(last_rss).checked_div(added).unwrap_or(0);
        let figures = format!(
            "{}, {:.1} KiB for each more, {:.2} % of a core",
            mebibytes(rss),
            each as f64 / 1_024.0,
            cpu * 100.0
        );
        table.must(&format!("{open} waiting"), figures, each <= CONNECTION_BYTES);
    }
    runtime.shutdown_background();
    Ok(table)
}

/// Opens an event stream, reads its first event, and goes on reading in a task of its own.
async fn wait_for_news(remote: Arc<HttpRemote>) -> Result<()> {
    let mut events = remote.events().await?;
    events.next().await.context("the stream ended at once")??;
    tokio::spawn(async move {
        let _connection = remote;
        while events.next().await.is_some() {}
    });
    Ok(())
}

/// How many commits of one small file `count` connections get done in a second.
pub(crate) fn commits(dir: &Path, count: usize) -> Result<Table> {
    let mut table = Table::new("commits");
    let crowd = Crowd::gather(dir)?;
    let runtime = Runtime::new()?;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for number in 0..count {
        let (remote, profile) = crowd.connect(number)?;
        let seed = number as u64 + 1;
        writers.push(runtime.spawn(commit_on(remote, profile.clone(), seed, Arc::clone(&is_over))));
    }
    let (clock, cpu) = (Stopwatch::start(), crowd.cpu()?);
    pause(COMMITTING);
    is_over.store(true, Ordering::Relaxed);
    let done = runtime.block_on(try_join_all(writers))?;
    let elapsed = clock.elapsed().as_secs_f64();
    let cpu = (crowd.cpu()? - cpu).as_secs_f64();
    let mut latencies = Vec::new();
    for writer in done {
        latencies.extend(writer?);
    }
    latencies.sort_unstable();
    ensure!(!latencies.is_empty(), "nothing was committed");
    let at = |share: usize| latencies[(latencies.len() * share / 100).min(latencies.len() - 1)].as_millis();
    let commits = latencies.len() as f64;
    table.row("connections", format!("{count} of {DEVICES} devices"));
    table.row("commits of one new file of 4 KiB", latencies.len());
    table.row("commits a second", format!("{:.0}", commits / elapsed));
    table.row(
        "median and 95th percentile",
        format!("{} ms, {} ms", at(50), at(95)),
    );
    table.row(
        "CPU of the server a commit",
        format!("{:.2} ms", cpu * 1_000.0 / commits),
    );
    table.row("memory of the server", mebibytes(crowd.rss()?));
    Ok(table)
}

/// Commits new files one after the other; returns how long each took.
async fn commit_on(
    remote: Arc<HttpRemote>,
    profile: Profile,
    seed: u64,
    is_over: Arc<AtomicBool>,
) -> Result<Vec<Duration>> {
    let mut random = Random::new(seed);
    let mut latencies = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let bytes = random.bytes(FILE_BYTES);
        let mut hasher = FileHasher::new();
        hasher.update(&bytes)?;
        let content = hasher.finish()?.content;
        let id = random.bytes(16);
        let (node, _) = id.split_at(8);
        let node = i64::from_le_bytes(node.try_into()?) & i64::MAX | 1 << 60;
        let op = Op::Create {
            node: NodeId::new(node)?,
            place: Place {
                parent: NodeId::ROOT,
                name: NodeName::new(format!("{seed} {}", latencies.len()))?,
            },
            content: Content::File(content),
            attributes: Attributes::default(),
        };
        let request = CommitRequest {
            namespace: profile.root,
            op_id: OpId::new(id.as_slice().try_into()?),
            groups: vec![vec![op]],
            known: None,
            is_on_behalf: false,
        };
        let chunk = Frame::Chunk(ChunkFrame {
            hash: ChunkHash::of(&bytes),
            is_page: false,
            chunk: encode_chunk(&bytes),
        });
        let clock = Stopwatch::start();
        let reply = remote.commit(vec![chunk], to_cbor(&request)).await?;
        latencies.push(clock.elapsed());
        let is_applied = matches!(reply.groups.as_slice(), [GroupOutcome::Applied { .. }]);
        ensure!(is_applied, "a commit was refused: {:?}", reply.groups);
    }
    Ok(latencies)
}
