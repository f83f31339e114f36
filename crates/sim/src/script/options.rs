//! The world in which a script happens.

use std::fmt;

use super::words::{Word, Words};

/// What the disk of a device is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceOptions {
    /// Whether names that differ in case alone are one name.
    pub folds_case: bool,
    /// Whether names are kept in decomposed form.
    pub decomposes: bool,
    /// The step of its timestamps in nanoseconds.
    pub step_ns: u64,
    /// Whether two names can be swapped at once.
    pub has_exchange: bool,
    /// Whether it knows a rename that replaces nothing.
    pub has_keep_existing: bool,
    /// Whether a file can have two names.
    pub has_links: bool,
    /// Whether the exec bit is kept.
    pub keeps_exec: bool,
    /// Whether an inode is given out again at once.
    pub reuses_inodes: bool,
    /// Whether a power loss keeps changes of folders in their order.
    pub orders_metadata: bool,
    /// Whether what was there before the first start is merged: the device begins with its daemon stopped.
    pub starts_stopped: bool,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        Self {
            folds_case: false,
            decomposes: false,
            step_ns: 1,
            has_exchange: true,
            has_keep_existing: true,
            has_links: true,
            keeps_exec: true,
            reuses_inodes: false,
            orders_metadata: true,
            starts_stopped: false,
        }
    }
}

/// The world.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Whether one user acts at a time and everything settles in between, so that a plain map tells what must be there.
    pub has_turns: bool,
    /// How many nodes a device plans at once, where that is fewer than in life.
    pub nodes_at_once: Option<usize>,
    /// The devices.
    pub devices: Vec<DeviceOptions>,
}

impl DeviceOptions {
    fn flags(&mut self) -> [(&'static str, &mut bool, bool); 9] {
        [
            ("fold", &mut self.folds_case, true),
            ("nfd", &mut self.decomposes, true),
            ("no-exchange", &mut self.has_exchange, false),
            ("no-keep", &mut self.has_keep_existing, false),
            ("no-links", &mut self.has_links, false),
            ("no-exec", &mut self.keeps_exec, false),
            ("reuse", &mut self.reuses_inodes, true),
            ("unordered", &mut self.orders_metadata, false),
            ("stopped", &mut self.starts_stopped, true),
        ]
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.has_turns {
            writeln!(f, "turns")?;
        }
        if let Some(count) = self.nodes_at_once {
            writeln!(f, "at-once {count}")?;
        }
        for device in &self.devices {
            f.write_str("device")?;
            for (word, value, is_told) in device.clone().flags() {
                if *value == is_told {
                    write!(f, " {word}")?;
                }
            }
            if device.step_ns != 1 {
                write!(f, " step={}", device.step_ns)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Options {
    /// Takes a line that is no step.
    pub(super) fn read(&mut self, words: &mut Words<'_>) -> Result<(), String> {
        match words.word()? {
            "turns" => self.has_turns = true,
            "at-once" => self.nodes_at_once = Some(usize::next(words)?),
            "device" => {
                let mut device = DeviceOptions::default();
                while let Some(word) = words.peek() {
                    words.word()?;
                    if let Some(step) = word.strip_prefix("step=") {
                        device.step_ns = step
                            .parse()
                            .map_err(|_malformed| format!("`{word}` is no step"))?;
                        continue;
                    }
                    let mut flags = device.flags();
                    let flag = flags.iter_mut().find(|(known, ..)| *known == word);
                    let (_, value, told) =
                        flag.ok_or_else(|| format!("`{word}` is no property of a disk"))?;
                    **value = *told;
                }
                self.devices.push(device);
            }
            other => return Err(format!("`{other}` begins no line")),
        }
        words.end()
    }
}
