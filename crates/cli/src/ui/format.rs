//! Numbers as people read them.

use std::time::Duration;

use cairn_core::time::{Date, Timestamp};

/// Bytes with a unit: `0 B`, `1.5 KiB`, `312 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{value:.digits$} {}", UNITS[unit])
}

/// A duration in its two largest units: `42s`, `3m 05s`, `2h 10m`, `3d 4h`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {:02}m", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// An instant in UTC: `2026-11-22 17:08:40Z`.
pub(crate) fn time(instant: Timestamp) -> String {
    let seconds = instant.as_millis().div_euclid(1_000).rem_euclid(86_400);
    let (hours, minutes, rest) = (seconds / 3_600, seconds % 3_600 / 60, seconds % 60);
    format!("{} {hours:02}:{minutes:02}:{rest:02}Z", Date::of(instant))
}

/// A count with its noun: `1 file`, `2 files`.
pub(crate) fn count(count: u64, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (10_240, "10 KiB"),
            (1_023 << 10, "1.0 MiB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
        assert_eq!(bytes(u64::MAX), "16 EiB");
    }

    #[test]
    fn durations_have_two_units() {
        let cases = [(5, "5s"), (65, "1m 05s"), (3_725, "1h 02m"), (100_000, "1d 3h")];
        for (seconds, text) in cases {
            assert_eq!(duration(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn instants_are_in_utc() {
        assert_eq!(time(Timestamp::from_millis(0)), "1970-01-01 00:00:00Z");
        assert_eq!(
            time(Timestamp::from_millis(1_795_367_320_000)),
            "2026-11-22 17:08:40Z"
        );
        assert_eq!(time(Timestamp::from_millis(-1)), "1969-12-31 23:59:59Z");
    }
}
