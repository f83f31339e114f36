//! Makes a script from a seed.

mod actions;
mod faults;

use cairn_testkit::random::Random;

use crate::script::{Action, DeviceOptions, Fault, Options, Ref, Script, Step, What, When};

/// What may go wrong in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weather {
    /// Nothing.
    Calm,
    /// The network.
    Network,
    /// Processes and machines die.
    Crashes,
    /// Disks fail.
    Disk,
    /// All of these.
    Everything,
    /// A server or a device goes back in time, and all of these.
    Rollbacks,
}

const WEATHER: [Weather; 8] = [
    Weather::Calm,
    Weather::Network,
    Weather::Crashes,
    Weather::Crashes,
    Weather::Disk,
    Weather::Everything,
    Weather::Everything,
    Weather::Rollbacks,
];

/// The script of a seed: the same each time.
pub fn script(seed: u64) -> Script {
    let mut random = Random::new(seed ^ 0x5eed_5eed_5eed_5eed);
    let weather = *random.pick(&WEATHER).unwrap_or(&Weather::Calm);
    // Going back in time is for the ledger: what comes back is no mistake there.
    let has_turns = weather != Weather::Rollbacks && random.below(5) < 2;
    let count = 2 + random.below(8) / 5 + random.below(8) / 7;
    let devices = (0..count).map(|_| device(&mut random)).collect();
    let mut draft = Draft {
        random,
        weather,
        steps: Vec::new(),
        devices: count,
        has_turns,
    };
    if has_turns {
        draft.turns();
    } else {
        draft.crowd();
    }
    // Plans that are shorter than what differs, as in life with thousands of files.
    let nodes_at_once = (draft.random.below(8) == 0).then(|| 4 + draft.random.below(13) as usize);
    Script {
        seed,
        options: Options {
            has_turns,
            nodes_at_once,
            devices,
        },
        steps: draft.steps,
    }
}

fn device(random: &mut Random) -> DeviceOptions {
    let mut device = DeviceOptions::default();
    // Half of all disks are like most disks.
    if random.below(2) == 0 {
        return device;
    }
    device.folds_case = random.below(3) == 0;
    device.decomposes = random.below(4) == 0;
    device.step_ns = [1, 1, 1_000_000, 1_000_000_000, 2_000_000_000][random.below(5) as usize];
    device.has_exchange = random.below(3) != 0;
    device.has_links = random.below(4) != 0;
    device.keeps_exec = random.below(5) != 0;
    device.reuses_inodes = random.below(2) == 0;
    device.orders_metadata = random.below(2) == 0;
    device.starts_stopped = random.below(8) == 0;
    device
}

struct Draft {
    random: Random,
    weather: Weather,
    steps: Vec<Step>,
    devices: u64,
    has_turns: bool,
}

impl Draft {
    fn push(&mut self, when: When, what: What) {
        let number = self.steps.len() as u64;
        self.steps.push(Step { number, when, what });
    }

    fn device(&mut self) -> usize {
        self.random.below(self.devices) as usize
    }

    fn user(&mut self, when: When, device: usize, action: Action) {
        self.push(when, What::User { device, action });
    }

    fn fault(&mut self, when: When, fault: Fault) {
        self.push(when, What::Fault(fault));
    }

    /// One user acts, something may break, everything settles.
    fn turns(&mut self) {
        for turn in 0..4 + self.random.below(14) {
            let device = self.device();
            let mut when = if turn == 0 { When::After(0) } else { When::Settled };
            if self.random.below(3) == 0 {
                let fault = self.a_fault();
                if let Some(fault) = fault {
                    self.fault(when, fault);
                    when = When::After(0);
                }
            }
            let action = self.an_action();
            self.user(when, device, action);
            for _ in 0..self.random.below(3) {
                if let Some(fault) = self.a_fault() {
                    let when = self.soon();
                    self.fault(when, fault);
                }
            }
        }
    }

    /// Everybody acts at any time.
    fn crowd(&mut self) {
        for _ in 0..1 + self.random.below(3) {
            for _ in 0..6 + self.random.below(24) {
                let when = self.soon();
                if self.random.below(3) == 0
                    && let Some(fault) = self.a_fault()
                {
                    self.fault(when, fault);
                } else if self.random.below(12) == 0 {
                    self.a_quarrel();
                } else {
                    let device = self.device();
                    let action = self.an_action();
                    self.user(when, device, action);
                }
            }
            self.fault(When::Settled, Fault::Wait { ms: 10 });
        }
    }

    fn soon(&mut self) -> When {
        match self.random.below(10) {
            0..=2 => When::After(0),
            3..=4 => When::After(self.random.below(120)),
            5 => When::After(self.random.below(700)),
            6 => When::After(self.random.below(5_000)),
            _ => When::Calls {
                device: self.device(),
                count: 1 + self.random.below(60),
            },
        }
    }

    /// Two devices do what does not go together.
    fn a_quarrel(&mut self) {
        let (one, other) = (self.device(), self.device());
        let when = self.soon();
        let (a, b) = (self.random.below(40), self.random.below(40));
        let (first, second) = match self.random.below(5) {
            0 => (
                Action::Move {
                    node: Ref::Nth(a),
                    folder: Ref::Nth(b),
                },
                Action::Move {
                    node: Ref::Nth(b),
                    folder: Ref::Nth(a),
                },
            ),
            1 => {
                let size = self.size();
                let name = self.name();
                (
                    Action::New {
                        folder: Ref::Nth(a),
                        name: name.clone(),
                        size,
                    },
                    Action::New {
                        folder: Ref::Nth(a),
                        name,
                        size: size + 1,
                    },
                )
            }
            2 => {
                let name = self.name();
                let twin = |name| Action::Twin {
                    folder: Ref::Nth(a),
                    name,
                    content: b,
                };
                (twin(name.clone()), twin(name))
            }
            3 => {
                let (name, size) = (self.name(), self.size());
                (
                    Action::RemoveTree { folder: Ref::Nth(a) },
                    Action::New {
                        folder: Ref::Nth(a),
                        name,
                        size,
                    },
                )
            }
            _ => {
                let (size, later) = (self.size(), self.size());
                (
                    Action::Overwrite {
                        file: Ref::Nth(a),
                        size,
                    },
                    Action::SaveByRename {
                        file: Ref::Nth(a),
                        size: later,
                    },
                )
            }
        };
        self.user(when, one, first);
        self.user(When::After(0), other, second);
    }
}
