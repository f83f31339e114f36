//! Long work: one live line on a terminal, else a line every few seconds.

use std::io::Write;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::format;
use super::{Ui, warn};
use cairn_client::status::Transfer;

/// How often the live line changes.
const LIVE: Duration = Duration::from_millis(200);
/// How often a line is printed where nobody watches a terminal.
const LINES: Duration = Duration::from_secs(5);

/// Shows how far work is while it runs.
pub(crate) struct Meter {
    ui: Ui,
    began: Instant,
    /// Width of the live line that is shown.
    shown: usize,
}

impl Meter {
    pub(crate) fn new(ui: Ui) -> Self {
        Self {
            ui,
            began: Instant::now(),
            shown: 0,
        }
    }

    /// Runs `work` to its end and shows what `read` says meanwhile.
    pub(crate) async fn during<T>(mut self, work: impl Future<Output = T>, read: impl Fn() -> Shown) -> T {
        if self.ui.quiet {
            return work.await;
        }
        let mut ticks = interval(if self.ui.has_live_line { LIVE } else { LINES });
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once, when there is nothing to say yet.
        ticks.tick().await;
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => {
                    self.clear();
                    return result;
                }
                _ = ticks.tick() => self.show(&read()),
            }
        }
    }

    fn show(&mut self, shown: &Shown) {
        let text = shown.text(self.began.elapsed());
        if !self.ui.has_live_line {
            return warn(text);
        }
        let width = text.chars().count();
        let blank = " ".repeat(self.shown.saturating_sub(width));
        self.shown = width;
        let mut err = std::io::stderr().lock();
        let _unheard = write!(err, "\r{text}{blank}").and_then(|()| err.flush());
    }

    fn clear(&mut self) {
        if self.shown > 0 {
            let mut err = std::io::stderr().lock();
            let _unheard = write!(err, "\r{}\r", " ".repeat(self.shown)).and_then(|()| err.flush());
        }
    }
}

/// What a line of progress says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    /// What is being done.
    pub(crate) label: String,
    /// How far.
    pub(crate) transfer: Transfer,
}

impl Shown {
    fn text(&self, elapsed: Duration) -> String {
        let Transfer {
            bytes_done,
            bytes_total,
            files_done,
            files_total,
        } = self.transfer;
        let mut text = self.label.clone();
        if bytes_total > 0 {
            let percent = (bytes_done.min(bytes_total) as u128 * 100 / u128::from(bytes_total)) as u64;
            text += &format!(
                " {} / {}, {percent} %",
                format::bytes(bytes_done),
                format::bytes(bytes_total)
            );
        } else if bytes_done > 0 {
            text += &format!(" {}", format::bytes(bytes_done));
        }
        let seconds = elapsed.as_secs_f64();
        if bytes_done > 0 && seconds > 0.5 {
            let rate = bytes_done as f64 / seconds;
            text += &format!(", {}/s", format::bytes(rate as u64));
            let left = bytes_total.saturating_sub(bytes_done) as f64 / rate;
            if (1.0..1e9).contains(&left) {
                text += &format!(", {} left", format::duration(Duration::from_secs_f64(left)));
            }
        }
        if files_total > 1 {
            text += &format!(", {files_done} of {files_total} files");
        } else if files_total == 0 && files_done > 1 {
            text += &format!(", {files_done} files");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_bytes_rate_time_and_files() {
        let transfer = Transfer {
            bytes_done: 50 << 20,
            bytes_total: 100 << 20,
            files_done: 1,
            files_total: 3,
        };
        let shown = Shown {
            label: "sending".to_owned(),
            transfer,
        };
        assert_eq!(
            shown.text(Duration::from_secs(10)),
            "sending 50 MiB / 100 MiB, 50 %, 5.0 MiB/s, 10s left, 1 of 3 files"
        );
        let nothing = Shown {
            label: "scanning".to_owned(),
            transfer: Transfer::default(),
        };
        assert_eq!(nothing.text(Duration::from_secs(10)), "scanning");
    }
}
