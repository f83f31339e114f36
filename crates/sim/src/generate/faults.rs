//! Which faults the weather brings.

use super::{Draft, Weather};
use crate::script::Fault;

impl Draft {
    /// A fault, if there is one in this weather.
    pub(super) fn a_fault(&mut self) -> Option<Fault> {
        let kind = match self.weather {
            Weather::Calm => return None,
            Weather::Network => 0,
            Weather::Crashes => 1 + self.random.below(2) * 2,
            Weather::Disk => 2,
            Weather::Everything => self.random.below(4),
            Weather::Rollbacks if self.random.below(2) == 0 => 4,
            Weather::Rollbacks => self.random.below(4),
        };
        Some(match kind {
            0 => self.of_network(),
            1 => self.of_process(),
            2 => self.of_disk(),
            3 => self.of_machine(),
            _ => self.back_in_time(),
        })
    }

    fn of_network(&mut self) -> Fault {
        let device = self.device();
        match self.random.below(6) {
            0 => Fault::Partition { device },
            1 => Fault::NetworkMended { device },
            2 => self.server_crash(),
            _ => Fault::Network {
                device,
                lost: self.random.below(200),
                reply_lost: self.random.below(200),
                doubled: self.random.below(200),
                cut: self.random.below(200),
                delay_ms: self.random.below(300),
            },
        }
    }

    fn server_crash(&mut self) -> Fault {
        Fault::ServerCrash {
            down_ms: self.random.below(3_000),
        }
    }

    fn of_process(&mut self) -> Fault {
        let device = self.device();
        let down_ms = self.random.below(2_000);
        match self.random.below(7) {
            0..=1 => Fault::KillAtPoll {
                device,
                polls: self.random.below(200),
                down_ms,
            },
            2..=4 => Fault::KillAtCall {
                device,
                calls: self.random.below(150),
                down_ms,
            },
            5 => self.server_crash(),
            _ if self.random.below(2) == 0 => Fault::Stop { device },
            _ => Fault::Start { device },
        }
    }

    fn of_disk(&mut self) -> Fault {
        let device = self.device();
        match self.random.below(11) {
            0..=1 => Fault::DiskFull {
                device,
                room: self.random.below(3_000),
            },
            2 => Fault::DiskRoom { device },
            3..=5 => Fault::DiskError {
                device,
                after: self.random.below(60),
                count: 1 + self.random.below(6),
            },
            6 => Fault::SyncError { device },
            7 => Fault::ReadOnly { device },
            8 => Fault::Writable { device },
            9 => Fault::Unmount { device },
            _ => Fault::Mount { device },
        }
    }

    fn of_machine(&mut self) -> Fault {
        let device = self.device();
        match self.random.below(10) {
            0..=3 => Fault::PowerLoss {
                device,
                down_ms: self.random.below(2_000),
            },
            4 => Fault::ClockJump {
                device,
                by_ms: [-86_400_000, -3_600_000, -1_500, 1_500, 3_600_000, 86_400_000]
                    [self.random.below(6) as usize],
            },
            5 => Fault::WatcherOff { device },
            6 => Fault::WatcherOn { device },
            7 => Fault::Overflow { device },
            8 => Fault::Pause { device },
            _ => Fault::Resume { device },
        }
    }

    fn back_in_time(&mut self) -> Fault {
        let device = self.device();
        match self.random.below(8) {
            0..=1 => Fault::ServerBackup {},
            2..=3 => Fault::ServerRestore {},
            4 => Fault::StateCopy { device },
            5..=6 => Fault::StateRestore { device },
            _ => Fault::StateForget { device },
        }
    }
}
