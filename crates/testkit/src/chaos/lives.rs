//! Who was alive when.

use std::time::Duration;

/// The server and two devices.
pub(super) const MEMBERS: usize = 3;
/// The server's place among them.
pub(super) const SERVER: usize = 0;

/// From a start to a kill; `None` as long as it runs.
type Life = (Duration, Option<Duration>);

/// When each of them ran.
#[derive(Debug, Default)]
pub(super) struct Lives([Vec<Life>; MEMBERS]);

impl Lives {
    pub(super) fn begin(&mut self, member: usize, at: Duration) {
        self.0[member].push((at, None));
    }

    pub(super) fn end(&mut self, member: usize, at: Duration) {
        if let Some(last) = self.0[member].last_mut() {
            last.1 = Some(at);
        }
    }

    /// When the life ends in which `member` is at this moment; far away when it was not killed.
    pub(super) fn end_of_life(&self, member: usize, at: Duration) -> Option<Duration> {
        let mut lives = self.0[member].iter();
        let life = lives.find(|(from, to)| *from <= at && to.is_none_or(|to| at < to))?;
        Some(life.1.unwrap_or(Duration::MAX))
    }

    /// The longest time without a break, between two moments, in which a device and the server ran.
    pub(super) fn longest_calm(&self, device: usize, since: Duration, until: Duration) -> Duration {
        let mut longest = Duration::ZERO;
        for (device_from, device_to) in &self.0[device] {
            for (server_from, server_to) in &self.0[SERVER] {
                let from = since.max(*device_from).max(*server_from);
                let to = [*device_to, *server_to]
                    .into_iter()
                    .flatten()
                    .fold(until, Duration::min);
                longest = longest.max(to.saturating_sub(from));
            }
        }
        longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calm_is_as_long_as_both_live_in_it() {
        let at = Duration::from_secs;
        let mut lives = Lives::default();
        lives.begin(SERVER, at(0));
        lives.end(SERVER, at(10));
        lives.begin(SERVER, at(12));
        lives.begin(1, at(3));
        lives.end(1, at(20));
        lives.begin(1, at(21));
        assert_eq!(lives.longest_calm(1, at(0), at(9)), at(6));
        assert_eq!(lives.longest_calm(1, at(0), at(30)), at(9));
        assert_eq!(lives.longest_calm(1, at(10), at(12)), at(0));
        assert_eq!(lives.longest_calm(1, at(18), at(40)), at(19));
    }
}
