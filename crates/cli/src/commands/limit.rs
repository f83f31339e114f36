//! `cairn limit`: how fast this device may send and receive.

use cairn_client::control::{Reply, Request};
use cairn_client::remote::limited::{LEAST_RATE, Rates};
use serde_json::json;

use crate::App;
use crate::daemon_link;
use crate::error::{CliError, CliResult};
use crate::ui::format;

/// Options of `cairn limit`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Most bytes a second that are sent, such as 500K or 2M (bytes, not bits; powers of 1024); "off" for no limit
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    up: Option<Rate>,
    /// Most bytes a second that are received
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    down: Option<Rate>,
    /// No limits
    #[arg(long, conflicts_with_all = ["up", "down"])]
    off: bool,
}

/// A limit as it was typed; without bytes it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rate(Option<u64>);

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let before = ask(app, None).await?;
    let wanted = if args.off {
        Rates::default()
    } else {
        Rates {
            up: args.up.map_or(before.up, |rate| rate.0),
            down: args.down.map_or(before.down, |rate| rate.0),
        }
    };
    let is_question = !args.off && args.up.is_none() && args.down.is_none();
    let now = if is_question {
        before
    } else {
        ask(app, Some(wanted)).await?
    };
    if app.ui.json {
        return app.ui.json(&json!(now));
    }
    let text = shown(now);
    if is_question {
        app.ui.line(text)
    } else {
        app.ui.done(text)
    }
}

async fn ask(app: &App, rates: Option<Rates>) -> CliResult<Rates> {
    match Box::pin(daemon_link::ask(app, Request::Limit { rates })).await? {
        Reply::Limits { rates } => Ok(rates),
        _ => Err(CliError::failed("the daemon gave another answer")),
    }
}

/// The limits for people.
pub(crate) fn shown(rates: Rates) -> String {
    let rate = |rate: Option<u64>| match rate {
        Some(rate) => format!("{}/s", format::bytes(rate)),
        None => "no limit".to_owned(),
    };
    format!("up {}, down {}", rate(rates.up), rate(rates.down))
}

/// Bytes a second: a whole number with K, M or G, or `off`.
fn parse_rate(text: &str) -> Result<Rate, String> {
    if matches!(text, "off" | "none") {
        return Ok(Rate(None));
    }
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim_end_matches("/s");
    let shift = match unit.trim_end_matches("iB").to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("a rate is bytes a second: a whole number with K, M or G, or \"off\"".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a rate begins with a whole number".to_owned())?;
    let rate = number
        .checked_mul(1 << shift)
        .ok_or("that is too much".to_owned())?;
    if rate < LEAST_RATE {
        return Err(format!(
            "at least {} a second are needed, or connections look broken",
            format::bytes(LEAST_RATE)
        ));
    }
    Ok(Rate(Some(rate)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_bytes_a_second() {
        let cases = [
            ("500K", Some(500 << 10)),
            ("2M", Some(2 << 20)),
            ("2MiB/s", Some(2 << 20)),
            ("20000", Some(20_000)),
            ("10k", Some(10 << 10)),
            ("off", None),
        ];
        for (text, rate) in cases {
            assert_eq!(parse_rate(text), Ok(Rate(rate)), "{text}");
        }
        for text in ["", "K", "9K", "0", "-1M", "1.5M", "10 X", "99999999999999G"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
