//! One life of a process: its tasks run until it dies, at whatever await that may be.

use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use cairn_core::runtime::{BoxFuture, Spawner};
use cairn_testkit::random::Random;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::trace::Trace;

/// How much of the order of tasks is left to chance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// In how many of a thousand polls a task lets all others run first.
    pub yields_per_mille: u64,
    /// In how many of a thousand polls a task sleeps for some milliseconds.
    pub delays_per_mille: u64,
    /// The longest such sleep.
    pub delay_ms: u64,
}

impl Schedule {
    /// Tasks run in the order in which they are woken.
    pub const PLAIN: Self = Self {
        yields_per_mille: 0,
        delays_per_mille: 0,
        delay_ms: 0,
    };
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            yields_per_mille: 30,
            delays_per_mille: 10,
            delay_ms: 20,
        }
    }
}

/// Polls and steps of all tasks together, so that a run that goes round in circles ends.
#[derive(Debug)]
pub struct Budget {
    left: AtomicU64,
}

impl Budget {
    /// A budget of so many polls.
    pub fn new(polls: u64) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicU64::new(polls),
        })
    }

    /// Whether it is used up: nothing runs any more.
    pub fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }

    /// What is left of it.
    pub fn left(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    fn take(&self) -> bool {
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }
}

/// What ends a life by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fuse {
    /// The n-th poll of its tasks from now.
    Polls(u64),
    /// The n-th time from now that it is about to use its store, or just has.
    StoreSteps(u64),
}

#[derive(Debug, Default)]
struct Fuses {
    polls: Option<u64>,
    steps: Option<u64>,
}

type Hook = Box<dyn FnOnce() + Send>;

/// One life of a process.
pub struct Life {
    name: String,
    number: u64,
    is_dead: AtomicBool,
    ended: CancellationToken,
    fuses: Mutex<Fuses>,
    polls: AtomicU64,
    random: Mutex<Random>,
    schedule: Schedule,
    budget: Arc<Budget>,
    trace: Arc<Trace>,
    hooks: Mutex<Vec<Hook>>,
    cause: Mutex<Option<&'static str>>,
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Life({} {})", self.name, self.number)
    }
}

impl Life {
    /// Begins a life.
    pub fn begin(
        name: &str,
        number: u64,
        random: Random,
        schedule: Schedule,
        budget: Arc<Budget>,
        trace: Arc<Trace>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            number,
            is_dead: AtomicBool::new(false),
            ended: CancellationToken::new(),
            fuses: Mutex::default(),
            polls: AtomicU64::new(0),
            random: Mutex::new(random),
            schedule,
            budget,
            trace,
            hooks: Mutex::default(),
            cause: Mutex::new(None),
        })
    }

    /// Whose life it is.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which of its lives it is, from 1.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The record that it writes to.
    pub const fn trace(&self) -> &Arc<Trace> {
        &self.trace
    }

    /// Whether it is over.
    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    /// How many polls of its tasks there were.
    pub fn polls(&self) -> u64 {
        self.polls.load(Ordering::Relaxed)
    }

    /// What ended it.
    pub fn cause(&self) -> Option<&'static str> {
        *lock(&self.cause)
    }

    /// Waits for its end.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Runs something at its end, before anything of it is dropped. At once when it is over.
    pub fn at_end(&self, hook: impl FnOnce() + Send + 'static) {
        if self.is_dead() {
            hook();
        } else {
            lock(&self.hooks).push(Box::new(hook));
        }
    }

    /// Lets it die by itself. Two fuses of one kind: the later call counts.
    pub fn light(&self, fuse: Fuse) {
        let mut fuses = lock(&self.fuses);
        match fuse {
            Fuse::Polls(count) => fuses.polls = Some(count.max(1)),
            Fuse::StoreSteps(count) => fuses.steps = Some(count.max(1)),
        }
    }

    /// Takes the fuses away.
    pub fn defuse(&self) {
        *lock(&self.fuses) = Fuses::default();
    }

    /// Ends it here and now. Its tasks are dropped when they would be polled next.
    pub fn die(&self, cause: &'static str) {
        if self.is_dead.swap(true, Ordering::Relaxed) {
            return;
        }
        *lock(&self.cause) = Some(cause);
        self.trace.line(
            &self.name,
            format_args!("dies ({cause}, life {}, poll {})", self.number, self.polls()),
        );
        self.trace.count(cause);
        let hooks = std::mem::take(&mut *lock(&self.hooks));
        hooks.into_iter().for_each(|hook| hook());
        self.ended.cancel();
    }

    /// Passes a point at which the process may die, or others may run first. Never resolves in a dead life.
    pub async fn step(&self) {
        if burn(&mut lock(&self.fuses).steps) {
            self.die("crash by store step");
        }
        if self.is_dead() || !self.budget.take() {
            return pending().await;
        }
        if self.chance(self.schedule.yields_per_mille) {
            tokio::task::yield_now().await;
        }
        if self.is_dead() {
            pending().await
        }
    }

    /// Whether something happens that happens in so many of a thousand cases.
    fn chance(&self, per_mille: u64) -> bool {
        per_mille > 0 && lock(&self.random).below(1_000) < per_mille
    }

    /// Counts a poll; false when the task may not run.
    fn may_poll(&self) -> bool {
        if self.is_dead() {
            return false;
        }
        self.polls.fetch_add(1, Ordering::Relaxed);
        if burn(&mut lock(&self.fuses).polls) {
            self.die("crash by poll");
            return false;
        }
        true
    }

    fn next_delay(&self) -> Option<Duration> {
        if !self.chance(self.schedule.delays_per_mille) {
            return None;
        }
        let ms = lock(&self.random).below(self.schedule.delay_ms.max(1));
        Some(Duration::from_millis(1 + ms))
    }
}

fn burn(fuse: &mut Option<u64>) -> bool {
    match fuse {
        Some(1) => {
            *fuse = None;
            true
        }
        Some(count) => {
            *count -= 1;
            false
        }
        None => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the tasks of one life, all on the runtime's one thread.
#[derive(Debug, Clone)]
pub struct SimSpawner {
    life: Arc<Life>,
}

impl SimSpawner {
    /// Spawns into this life.
    pub const fn new(life: Arc<Life>) -> Self {
        Self { life }
    }
}

impl Spawner for SimSpawner {
    fn spawn(&self, _name: &'static str, task: BoxFuture<()>) {
        if self.life.is_dead() {
            return;
        }
        tokio::spawn(Task {
            ended: Box::pin(self.life.ended.clone().cancelled_owned()),
            life: Arc::clone(&self.life),
            future: Some(task),
            delay: None,
        });
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        let life = Arc::clone(&self.life);
        Box::pin(async move {
            life.step().await;
            work();
            // The work may have been its last.
            if life.is_dead() {
                pending::<()>().await;
            }
        })
    }
}

/// A task that ends with its life.
struct Task {
    life: Arc<Life>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    future: Option<BoxFuture<()>>,
    delay: Option<Pin<Box<Sleep>>>,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.ended.as_mut().poll(context).is_ready() || self.life.is_dead() {
            self.future = None;
            return Poll::Ready(());
        }
        if let Some(delay) = &mut self.delay {
            if delay.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.delay = None;
        } else if let Some(delay) = self.life.next_delay() {
            let mut delay = Box::pin(tokio::time::sleep(delay));
            if delay.as_mut().poll(context).is_pending() {
                self.delay = Some(delay);
                return Poll::Pending;
            }
        }
        if !self.life.may_poll() {
            self.future = None;
            return Poll::Ready(());
        }
        if !self.life.budget.take() {
            return Poll::Pending;
        }
        let Some(future) = &mut self.future else {
            return Poll::Ready(());
        };
        let poll = future.as_mut().poll(context);
        if poll.is_ready() || self.life.is_dead() {
            self.future = None;
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
