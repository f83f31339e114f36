//! What will happen to one request, drawn before it leaves.

use std::time::Duration;

use cairn_testkit::random::Random;

/// Offsets at which connections are cut: within a head, a frame, a page, a chunk, a batch.
const CUT_RANGES: [u64; 5] = [16, 256, 4_096, 65_536, 1 << 20];

/// How often what goes wrong, in a thousand requests each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkFaults {
    /// Requests that never arrive.
    pub request_lost: u64,
    /// Replies that never arrive, the server having done its work.
    pub reply_lost: u64,
    /// Connections cut while the request's body is sent.
    pub cut_up: u64,
    /// Connections cut while the reply's body is sent.
    pub cut_down: u64,
    /// Requests that arrive twice.
    pub duplicate: u64,
    /// Requests that take long, so that others overtake them.
    pub delayed: u64,
    /// Of broken connections, those that fall silent instead of failing.
    pub stalled: u64,
    /// The longest usual way of a request or a reply.
    pub latency_ms: u64,
    /// The longest unusual one.
    pub delay_ms: u64,
}

impl NetworkFaults {
    /// A good line.
    pub const NONE: Self = Self {
        request_lost: 0,
        reply_lost: 0,
        cut_up: 0,
        cut_down: 0,
        duplicate: 0,
        delayed: 0,
        stalled: 0,
        latency_ms: 30,
        delay_ms: 0,
    };

    /// A bad line: everything happens now and then.
    pub const BAD: Self = Self {
        request_lost: 20,
        reply_lost: 30,
        cut_up: 20,
        cut_down: 30,
        duplicate: 30,
        delayed: 30,
        stalled: 100,
        latency_ms: 60,
        delay_ms: 50_000,
    };
}

impl Default for NetworkFaults {
    fn default() -> Self {
        Self::NONE
    }
}

/// A request that arrives twice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeat {
    pub(super) gap: Duration,
    /// Whether the first reply is the one that the client hears.
    pub(super) is_first_heard: bool,
}

/// What will happen to one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) there: Duration,
    pub(super) back: Duration,
    pub(super) block_pause: Duration,
    pub(super) is_delayed: bool,
    pub(super) is_request_lost: bool,
    pub(super) is_reply_lost: bool,
    pub(super) cut_up: Option<usize>,
    pub(super) cut_down: Option<usize>,
    pub(super) repeat: Option<Repeat>,
    /// Whether a broken connection falls silent.
    pub(super) stalls: bool,
    /// Whether the server goes on when the client is gone.
    pub(super) server_stays: bool,
    /// Into which pieces blocks are torn.
    pub(super) piece: Option<usize>,
}

impl Plan {
    /// Draws a plan. Always as many numbers, so that one fault less changes nothing else.
    pub(super) fn draw(faults: &NetworkFaults, random: &mut Random, can_repeat: bool) -> Self {
        let mut random = random.fork();
        let ms = |random: &mut Random, most: u64| Duration::from_millis(random.below(most.max(1)));
        let there = ms(&mut random, faults.latency_ms);
        let back = ms(&mut random, faults.latency_ms);
        let block_pause = ms(&mut random, faults.latency_ms / 8);
        let long = ms(&mut random, faults.delay_ms);
        let mut hits = |per_mille: u64| random.below(1_000) < per_mille;
        let is_delayed = hits(faults.delayed);
        let is_request_lost = hits(faults.request_lost);
        let is_reply_lost = hits(faults.reply_lost);
        let is_cut_up = hits(faults.cut_up);
        let is_cut_down = hits(faults.cut_down);
        let is_repeated = hits(faults.duplicate);
        let stalls = hits(faults.stalled);
        let server_stays = hits(500);
        let is_first_heard = hits(500);
        let is_torn = hits(200);
        let mut offset = || {
            let range = CUT_RANGES[random.below(CUT_RANGES.len() as u64) as usize];
            random.below(range) as usize
        };
        let (up, down, piece) = (offset(), offset(), offset());
        let gap = ms(&mut random, faults.delay_ms.max(faults.latency_ms));
        Self {
            there: if is_delayed { there + long } else { there },
            back,
            block_pause,
            is_delayed,
            is_request_lost,
            is_reply_lost,
            cut_up: is_cut_up.then_some(up),
            cut_down: is_cut_down.then_some(down),
            repeat: (is_repeated && can_repeat).then_some(Repeat { gap, is_first_heard }),
            stalls,
            server_stays,
            piece: is_torn.then_some(piece + 1),
        }
    }
}
