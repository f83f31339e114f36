//! A world with its users, and what the script needs to remember between two steps.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairn_client::progress::Route;
use cairn_client::state::memory::MemoryState;
use tokio::sync::oneshot;

use super::{Failure, Outcome, Tracing};
use crate::actions::{Hand, Later, Notes, SharedNotes};
use crate::check;
use crate::disk::{DiskOptions, MetadataOrder};
use crate::model::Model;
use crate::script::{Action, DeviceOptions, Script, Step, What, When};
use crate::server::Backup;
use crate::world::{World, WorldOptions};

/// How long a step waits for calls of a disk that do not come.
const CALLS_PATIENCE: Duration = Duration::from_secs(5);

type SharedHand = Arc<Mutex<Hand>>;

/// The world of a run.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) notes: SharedNotes,
    hands: Vec<SharedHand>,
    pub(super) backup: Option<Backup>,
    pub(super) copies: BTreeMap<usize, Arc<MemoryState>>,
    counts: BTreeMap<String, u64>,
}

impl Stage {
    pub(super) async fn set(script: &Script, tracing: Tracing) -> Result<Self, Failure> {
        let mut options = WorldOptions::new(script.seed, 0);
        options.devices = script.options.devices.iter().map(disk_options).collect();
        options.nodes_at_once = script.options.nodes_at_once.unwrap_or(options.nodes_at_once);
        options.keeps_trace = tracing == Tracing::All;
        let world = World::new(options)
            .await
            .map_err(|error| Failure::new("a world can be made", error.to_string()))?;
        let has_turns = script.options.has_turns;
        let notes = SharedNotes::new(Mutex::new(Notes {
            model: has_turns.then(Model::default),
            ..Notes::default()
        }));
        let hands = world.devices().iter().map(|device| {
            let hand = Hand::new(device.disk(), device.number(), script.seed, &notes);
            Arc::new(Mutex::new(hand))
        });
        let hands = hands.collect();
        world.server().start();
        for (device, options) in world.devices().iter().zip(&script.options.devices) {
            if !options.starts_stopped {
                device.start();
            }
        }
        Ok(Self {
            world,
            notes,
            hands,
            backup: None,
            copies: BTreeMap::new(),
            counts: BTreeMap::new(),
        })
    }

    pub(crate) fn count(&mut self, what: &str) {
        *self.counts.entry(what.to_owned()).or_default() += 1;
    }

    pub(super) async fn outcome(mut self) -> Outcome {
        for (what, count) in self.world.counts() {
            *self.counts.entry(format!("fault: {what}")).or_default() += count;
        }
        for (what, route) in [("changes", Route::Changes), ("fetch", Route::Fetch)] {
            let devices = self.world.devices().iter();
            let (made, spared) = devices.fold((0, 0), |(made, spared), device| {
                (made + device.requests_of(route), spared + device.spared_of(route))
            });
            *self.counts.entry(format!("request: {what}")).or_default() += made;
            *self.counts.entry(format!("sent along: {what}")).or_default() += spared;
        }
        let tree = check::server_tree(&self).await.unwrap_or_default();
        let copies = tree.conflicted_copies().len() as u64;
        *self
            .counts
            .entry("result: conflicted copies".to_owned())
            .or_default() += copies;
        let head = self.world.server().cursor().await;
        Outcome {
            trace: self.world.trace_hash().to_string(),
            counts: self.counts,
            failure: None,
            lines: self.world.trace().lines(),
            tree,
            journal_entries: head.map_or(0, |head| head.seq.get().unsigned_abs()),
        }
    }

    /// Waits for a step's time and does it.
    pub(super) async fn wait_and_do(&mut self, step: &Step) {
        match step.when {
            When::Settled => {}
            When::After(ms) => self.world.run_for(Duration::from_millis(ms)).await,
            When::Calls { device, count } if device < self.hands.len() => {
                return self.do_between_calls(step, device, count).await;
            }
            When::Calls { .. } => {}
        }
        self.tell(step);
        match &step.what {
            What::Fault(fault) => self.do_fault(fault).await,
            What::User { device, action } => {
                let later = self.hand(*device).map(|hand| act(&hand, step.number, action));
                self.go_on(*device, step.number, later.unwrap_or_default()).await;
            }
        }
    }

    fn tell(&self, step: &Step) {
        self.world.trace().line("script", format_args!("{step}"));
    }

    fn hand(&self, device: usize) -> Option<SharedHand> {
        self.hands.get(device).map(Arc::clone)
    }

    /// A user acts while the daemon waits for its next call; what breaks, breaks right after it.
    async fn do_between_calls(&mut self, step: &Step, device: usize, count: u64) {
        let (done, arrived) = oneshot::channel();
        let work: Box<dyn FnOnce() -> Vec<Later> + Send> = match &step.what {
            What::User { device, action } => {
                let Some(hand) = self.hand(*device) else {
                    return;
                };
                let (number, action) = (step.number, action.clone());
                Box::new(move || act(&hand, number, &action))
            }
            What::Fault(_) => Box::new(Vec::new),
        };
        let waiting = Arc::new(Mutex::new(Some((work, done))));
        let intruding = Arc::clone(&waiting);
        let (mut left, trace, line) = (count, Arc::clone(self.world.trace()), step.to_string());
        let intruder = move |_: &crate::disk::Call| {
            left = left.saturating_sub(1);
            if left == 0
                && let Some((work, done)) = take(&intruding)
            {
                trace.line("script", format_args!("{line}"));
                done.send(work()).ok();
            }
        };
        let machine = Arc::clone(self.world.device(device));
        machine.set_intruder(Some(Box::new(intruder)));
        let arrived = tokio::time::timeout(CALLS_PATIENCE, arrived).await;
        machine.set_intruder(None);
        let later = match (arrived, take(&waiting)) {
            (Ok(Ok(later)), _) => later,
            (_, Some((work, _))) => {
                self.tell(step);
                work()
            }
            _ => Vec::new(),
        };
        match &step.what {
            What::Fault(fault) => self.do_fault(fault).await,
            What::User { device, .. } => self.go_on(*device, step.number, later).await,
        }
    }

    /// Does what is left of an action.
    async fn go_on(&self, device: usize, number: u64, later: Vec<Later>) {
        let count = later.len();
        for (index, Later { pause_ms, piece }) in later.into_iter().enumerate() {
            self.world.run_for(Duration::from_millis(pause_ms)).await;
            if let Some(hand) = self.hand(device) {
                let mut hand = hand.lock().unwrap_or_else(PoisonError::into_inner);
                hand.go_on(number, &piece, index + 1 == count);
            }
        }
    }

    pub(super) fn let_go(&self, device: usize) {
        if let Some(hand) = self.hand(device) {
            hand.lock().unwrap_or_else(PoisonError::into_inner).let_go();
        }
    }
}

fn act(hand: &SharedHand, number: u64, action: &Action) -> Vec<Later> {
    hand.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .act(number, action)
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn disk_options(device: &DeviceOptions) -> DiskOptions {
    DiskOptions {
        case_folding: device.folds_case,
        normalises_nfd: device.decomposes,
        timestamp_step_ns: device.step_ns,
        keeps_exec_bit: device.keeps_exec,
        has_exchange: device.has_exchange,
        has_keep_existing: device.has_keep_existing,
        has_links: device.has_links,
        reuses_inodes: device.reuses_inodes,
        metadata_order: if device.orders_metadata {
            MetadataOrder::Prefix
        } else {
            MetadataOrder::Any
        },
        ..DiskOptions::default()
    }
}
