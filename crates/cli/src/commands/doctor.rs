//! `cairn doctor`: checks that everything is as it should be, and says what to do where it is not.

mod checks;

use serde::Serialize;

use crate::App;
use crate::error::{CliError, CliResult, Exit};

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as it should.
    Warn,
    /// It does not work.
    Fail,
}

/// One line.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    verdict: Verdict,
    message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<String>,
    #[serde(skip)]
    exit: Exit,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self {
            check,
            verdict: Verdict::Ok,
            message: message.into(),
            next_step: None,
            exit: Exit::Failed,
        }
    }

    fn warn(check: &'static str, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        let next_step = Some(next_step.into());
        Self {
            check,
            verdict: Verdict::Warn,
            message: message.into(),
            next_step,
            exit: Exit::Failed,
        }
    }

    fn fail(check: &'static str, error: &CliError) -> Self {
        Self {
            check,
            verdict: Verdict::Fail,
            message: error.to_string(),
            next_step: None,
            exit: error.exit,
        }
    }
}

pub(crate) async fn run(app: &App) -> CliResult {
    let findings = checks::all(app).await;
    if app.ui.json {
        app.ui.json(&findings)?;
    } else {
        for finding in &findings {
            print(app, finding)?;
        }
    }
    let failed: Vec<_> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Fail)
        .collect();
    match failed.first() {
        None => Ok(()),
        Some(first) => {
            let count = failed.len();
            let exit = first.exit;
            Err(CliError::new(
                exit,
                format!("{} of {} checks failed", count, findings.len()),
            ))
        }
    }
}

fn print(app: &App, finding: &Finding) -> CliResult {
    let word = match finding.verdict {
        Verdict::Ok if app.ui.quiet => return Ok(()),
        Verdict::Ok => "ok  ".to_owned(),
        Verdict::Warn => "warn".to_owned(),
        Verdict::Fail => app.ui.red("fail"),
    };
    app.ui
        .line(format!("{word}  {:<12} {}", finding.check, finding.message))?;
    match &finding.next_step {
        Some(step) => app.ui.line(format!("      {:<12} {step}", "")),
        None => Ok(()),
    }
}
