//! The loop: hints are gathered while passes are made.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::events::{News, ServerEvents};
use super::work::Work;
use super::{Daemon, DaemonError, POLL_EVERY};
use crate::retry::Backoff;
use crate::state::StateError;
use crate::status::Activity;
use crate::watcher::{Hint, Watch};

/// How long after a scan, at least and at most, files are read again that may have changed within the same tick of the clock.
const RECHECK_SOONEST: Duration = Duration::from_millis(50);
const RECHECK_LATEST: Duration = Duration::from_millis(2_500);
/// How often everything is scanned although nobody said that it changed.
const SCAN_EVERY: Duration = Duration::from_secs(24 * 3_600);
/// How often everything is scanned when not every folder can be watched, and while a mass deletion is held: that what is missing
/// is there again shows nowhere else.
const SCAN_OFTEN_EVERY: Duration = Duration::from_secs(60);
/// How long after a scan, at least and at most, what could not be read is looked at again.
const UNREAD_SOONEST: Duration = Duration::from_secs(1);
const UNREAD_LATEST: Duration = Duration::from_secs(60);

/// What the watch has said since it was last asked. Gathered also while a pass runs, however many passes follow one
/// another: what changes here is seen however much changes elsewhere.
#[derive(Default)]
struct Hints {
    work: Mutex<Work>,
    arrived: Notify,
    is_troubled: AtomicBool,
}

impl Hints {
    async fn gather(&self, mut watch: Box<dyn Watch>) -> Infallible {
        loop {
            self.is_troubled
                .store(watch.trouble().is_some(), Ordering::Relaxed);
            let hint = watch.next().await;
            let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            match hint {
                Hint::Folders(folders) => work.look_at(folders),
                Hint::Everything => work.look_at_everything(),
            }
            drop(work);
            self.arrived.notify_one();
        }
    }

    fn take(&self) -> Work {
        std::mem::take(&mut *self.work.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// When the next pass is due although nobody says so. Fixed when it is set: what happens in between does not put it off.
struct Timetable {
    scanned: Instant,
    polled: Instant,
    retry: Option<Instant>,
    recheck: Option<Instant>,
    /// When what could not be read is looked at again, and how long after the next pass that leaves something.
    unread: Option<Instant>,
    unread_pause: Duration,
    /// How long after a pass files are read again: until the tick is over in which they were written.
    tick: Duration,
    /// The same as it has become: longer where that was not enough, for the disk's clock may be another one.
    pause: Duration,
}

impl Timetable {
    fn new(timestamp_step_ns: u64) -> Self {
        let now = Instant::now();
        let tick = Duration::from_nanos(timestamp_step_ns.saturating_add(timestamp_step_ns / 4));
        let tick = tick.clamp(RECHECK_SOONEST, RECHECK_LATEST);
        Self {
            scanned: now,
            polled: now,
            retry: None,
            recheck: None,
            unread: None,
            unread_pause: UNREAD_SOONEST,
            tick,
            pause: tick,
        }
    }

    /// Notes what a pass left behind.
    fn after_pass(&mut self, work: &Work, pause: Option<Duration>) {
        let now = Instant::now();
        let earlier = self.retry.filter(|_| !work.has_synced);
        self.retry = match pause {
            Some(pause) => Some(earlier.map_or(now + pause, |earlier| earlier.min(now + pause))),
            None => earlier.filter(|_| work.has_setbacks()),
        };
        if work.has_synced {
            self.polled = now;
        }
        if !work.must_recheck {
            self.pause = self.tick;
        } else if work.is_recheck_vain {
            self.pause = (self.pause * 2).min(RECHECK_LATEST);
        }
        // Where it is due already, as while syncing is paused, the next pass does it: nobody need be woken for it again.
        let must_wake = work.must_recheck && !work.is_recheck_due;
        self.recheck = must_wake.then(|| self.recheck.unwrap_or(now + self.pause));
        if !work.has_unread() {
            self.unread = None;
            self.unread_pause = UNREAD_SOONEST;
        } else if self.unread.is_none() {
            self.unread = Some(now + self.unread_pause);
            self.unread_pause = (self.unread_pause * 2).min(UNREAD_LATEST);
        }
    }

    fn next_scan(&self, is_often: bool) -> Instant {
        let every = if is_often { SCAN_OFTEN_EVERY } else { SCAN_EVERY };
        self.scanned + every
    }

    fn next(&self, is_often: bool) -> Instant {
        let certain = self.next_scan(is_often).min(self.polled + POLL_EVERY);
        let others = [self.retry, self.recheck, self.unread].into_iter().flatten();
        others.fold(certain, Instant::min)
    }

    /// Adds what is due.
    fn remind(&mut self, work: &mut Work, is_often: bool) {
        let now = Instant::now();
        if self.next_scan(is_often) <= now {
            self.scanned = now;
            work.look_at_everything();
        }
        if self.polled + POLL_EVERY <= now {
            self.polled = now;
            work.must_sync = true;
        }
        if self.retry.take_if(|retry| *retry <= now).is_some() {
            work.must_sync = true;
        }
        if self.recheck.take_if(|recheck| *recheck <= now).is_some() {
            work.is_recheck_due = true;
        }
        if self.unread.take_if(|unread| *unread <= now).is_some() {
            work.look_at_unread();
        }
    }
}

impl Daemon {
    /// Makes passes until `stop`, which cuts the one that is under way.
    pub(super) async fn follow(
        &self,
        watch: Box<dyn Watch>,
        stop: &CancellationToken,
    ) -> Result<(), DaemonError> {
        let hints = Hints::default();
        let events = ServerEvents::follow(
            Arc::clone(&self.engine.remote),
            self.engine.namespace,
            self.runtime.clone(),
            stop.child_token(),
            Arc::clone(&self.is_deaf),
        );
        tokio::select! {
            biased;
            () = stop.cancelled() => Ok(()),
            ended = self.passes(&hints, &events) => ended.map(|never| match never {}),
            never = hints.gather(watch) => match never {},
            never = self.reread_in_turn() => match never {},
        }
    }

    async fn passes(&self, hints: &Hints, events: &ServerEvents) -> Result<Infallible, DaemonError> {
        let mut backoff = Backoff::new(Arc::clone(&self.runtime.entropy));
        let mut work = Work::everything();
        let mut is_introduced = false;
        let mut is_reread = false;
        let mut is_leaving = false;
        let mut timetable = Timetable::new(self.engine.fs.timestamp_step_ns());
        loop {
            if is_leaving {
                // Also when it is paused.
                self.leave().await?;
            }
            // Before anything is sent that a loss of power may have damaged.
            is_reread = is_reread || self.reread_after_start().await;
            self.look_again(&mut work).await?;
            let pass = self.one_pass(&mut work, &mut is_introduced, &mut backoff);
            let pause = self.beating(is_reread, pass).await?;
            timetable.after_pass(&work, pause);
            let is_troubled = hints.is_troubled.load(Ordering::Relaxed);
            self.tell_watching(is_troubled);
            // Whoever cannot say is asked again after the next pass.
            let is_held = self.held_deletes().await.is_ok_and(|count| count > 0);
            let is_often = is_troubled || is_held;
            tokio::select! {
                biased;
                () = self.nudge.notified() => work.look_at_everything(),
                () = events.arrived() => {}
                () = hints.arrived.notified() => {}
                () = self.next_look() => {}
                () = sleep_until(timetable.next(is_often)) => {}
            }
            // Whatever else has come is done in the same pass, so that no source can keep another waiting.
            work.add(hints.take());
            let news = events.take();
            is_leaving |= news == Some(News::Leave);
            work.must_sync |= self.has_moved(news).await?;
            timetable.remind(&mut work, is_often);
        }
    }

    /// Whether the journal may hold what this device has not read.
    async fn has_moved(&self, news: Option<News>) -> Result<bool, DaemonError> {
        match news {
            None => Ok(false),
            Some(News::Ask | News::Leave) => Ok(true),
            Some(News::Head(head)) => {
                let cursor = self.engine.state.cursor(self.engine.namespace).await?;
                Ok(cursor.is_none_or(|cursor| cursor.seq != head))
            }
        }
    }

    /// One pass of the loop; how long to wait at most before the next one.
    async fn one_pass(
        &self,
        work: &mut Work,
        is_introduced: &mut bool,
        backoff: &mut Backoff,
    ) -> Result<Option<Duration>, DaemonError> {
        work.has_synced = false;
        if self.is_paused() {
            self.set_activity(Activity::Paused);
            return Ok(None);
        }
        let result = async {
            if !*is_introduced {
                self.engine.introduce().await?;
                *is_introduced = true;
            }
            self.settle(work).await
        };
        match result.await {
            Ok(()) if !work.has_setbacks() => {
                backoff.reset();
                Ok(None)
            }
            Ok(()) => Ok(work.has_synced.then(|| backoff.next_pause())),
            Err(error @ DaemonError::State(StateError::Corrupt { .. } | StateError::Newer { .. })) => {
                Err(error)
            }
            Err(error) => {
                work.must_sync = true;
                let error = self.ask_order(error).await;
                if matches!(error, DaemonError::WipeAsked { .. }) {
                    return Err(error);
                }
                self.tell(&error);
                let pause = match &error {
                    DaemonError::Remote(remote) => backoff.after(remote),
                    _ => None,
                };
                Ok(Some(pause.unwrap_or_else(|| backoff.next_pause())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::super::unread::Looked;
    use super::*;
    use crate::fs::DiskPath;
    use crate::scanner::ScanReport;

    /// The pauses after which a pass reads again, when what it reads stays unsure so often.
    fn pauses(timestamp_step_ns: u64, vain: usize) -> Vec<u128> {
        let mut timetable = Timetable::new(timestamp_step_ns);
        let mut pauses = Vec::new();
        for round in 0..=vain {
            let mut work = Work::default();
            work.must_recheck = true;
            work.is_recheck_vain = round > 0;
            timetable.recheck = None;
            timetable.after_pass(&work, None);
            let due = timetable.recheck.unwrap();
            pauses.push((due - Instant::now()).as_millis());
        }
        timetable.after_pass(&Work::default(), None);
        assert_eq!(timetable.recheck, None);
        assert_eq!(timetable.pause, timetable.tick);
        pauses
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_read_again_when_the_tick_of_their_disk_is_over() {
        assert_eq!(pauses(10_000_000, 0), [50]);
        assert_eq!(pauses(1_000_000_000, 0), [1_250]);
        assert_eq!(pauses(2_000_000_000, 0), [2_500]);
        // A disk whose clock is ahead of ours.
        assert_eq!(
            pauses(10_000_000, 7),
            [50, 100, 200, 400, 800, 1_600, 2_500, 2_500]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_and_cannot_be_done_wakes_nobody_again() {
        let mut timetable = Timetable::new(10_000_000);
        let mut work = Work::default();
        work.must_recheck = true;
        timetable.after_pass(&work, None);
        advance(RECHECK_LATEST).await;
        timetable.remind(&mut work, false);
        assert!(work.is_recheck_due);
        // Syncing is paused: nothing was read.
        timetable.after_pass(&work, None);
        assert_eq!(timetable.recheck, None);
        work.is_recheck_due = false;
        timetable.after_pass(&work, None);
        assert!(timetable.recheck.is_some(), "it was read, and is unsure still");
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_read_is_looked_at_in_time_whatever_passes_come_before() {
        let mut timetable = Timetable::new(10_000_000);
        let mut work = Work::default();
        let report = ScanReport {
            busy: vec![DiskPath::root().join("busy")],
            busy_count: 1,
            ..ScanReport::default()
        };
        work.busy.after_scan(&Looked::AtUnsure, &report);
        work.has_synced = true;
        for pause in [1, 2, 4, 8, 16, 32, 60, 60] {
            timetable.after_pass(&work, None);
            let due = timetable.next(false);
            assert_eq!(due - Instant::now(), Duration::from_secs(pause));
            advance(Duration::from_millis(500)).await;
            timetable.after_pass(&work, None);
            assert_eq!(timetable.next(false), due);
            advance(due - Instant::now()).await;
            timetable.remind(&mut work, false);
            assert_eq!(timetable.unread, None);
        }
        timetable.after_pass(&Work::default(), None);
        assert_eq!(timetable.unread_pause, UNREAD_SOONEST);
    }
}
