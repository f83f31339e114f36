//! `cairn extract-text`: the text of a document on stdin, for the server that started it.
//!
//! Strangers have made the document, and those who read its format may loop, take all memory or overflow the stack. This process
//! may do so: it has no more than it is given here, writes no file, and is nobody's but the document's.

use std::io::{Read, Write};

use rustix::process::{Resource, Rlimit, setrlimit};

use crate::error::{CliError, CliResult};

/// Bytes of memory.
const MEMORY_BYTES: u64 = 1 << 30;
/// Seconds of the processor.
const CPU_SECONDS: u64 = 20;
/// How much the others go first.
const NICENESS: i32 = 10;

/// Options of `cairn extract-text`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// Bytes of text that are wanted
    #[arg(value_name = "BYTES")]
    most: usize,
}

pub(crate) fn run(args: Args) -> CliResult {
    let failed = |error| CliError::failed("cannot read the document").because(error);
    for (resource, most) in [
        (Resource::As, MEMORY_BYTES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit).map_err(|error| failed(error.into()))?;
    }
    // Going first is no reason to fail.
    let _ = rustix::process::nice(NICENESS);
    let mut document = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut document)
        .map_err(failed)?;
    let text = cairn_text::text_of(&document, args.most).unwrap_or_default();
    std::io::stdout()
        .lock()
        .write_all(text.as_bytes())
        .map_err(failed)
}
