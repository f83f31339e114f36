//! Gets the text out of documents, each in a process of its own.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_server::{Server, TextExtractor};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::error::{CliError, CliResult};
use crate::hosting::Stores;

/// How long one document may take, whatever it waits for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `cairn extract-text`.
struct ChildExtractor {
    program: PathBuf,
}

#[async_trait]
impl TextExtractor for ChildExtractor {
    fn is_document(&self, beginning: &[u8]) -> bool {
        cairn_text::is_document(beginning)
    }

    async fn text_of(&self, document: Vec<u8>, max_bytes: usize) -> Option<String> {
        match tokio::time::timeout(PATIENCE, self.run(document, max_bytes)).await {
            Ok(Ok(text)) => text,
            Ok(Err(error)) => {
                tracing::warn!(%error, "cannot start the process that reads documents");
                None
            }
            Err(_late) => None,
        }
    }
}

impl ChildExtractor {
    /// What the process says, when it ends well. Nobody hears what else it says: that may be of the document.
    async fn run(&self, document: Vec<u8>, max_bytes: usize) -> std::io::Result<Option<String>> {
        let mut child = Command::new(&self.program)
            .args(["extract-text", &max_bytes.to_string()])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Ok(None);
        };
        let send = async {
            // One that has died reads no more; its end says so.
            drop(stdin.write_all(&document).await);
            drop(stdin);
        };
        let mut text = Vec::new();
        let mut stdout = stdout.take(max_bytes as u64);
        let ((), read) = tokio::join!(send, stdout.read_to_end(&mut text));
        let is_whole = read.is_ok() && child.wait().await?.success();
        Ok(String::from_utf8(text)
            .ok()
            .filter(|text| is_whole && !text.is_empty()))
    }
}

/// Has the server find files by what they hold, or removes what was kept for that.
pub(crate) fn index(stores: &Stores, server: &Server, is_wanted: bool) -> CliResult {
    let folder = stores.folder.texts_folder();
    if !is_wanted {
        return match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(CliError::io("remove", &folder, error))
            }
            _ => Ok(()),
        };
    }
    let program = match cfg!(target_os = "linux") {
        // The very file that runs here, also when another stands in its place meanwhile.
        true => PathBuf::from("/proc/self/exe"),
        false => std::env::current_exe()
            .map_err(|error| CliError::failed("cannot find this program").because(error))?,
    };
    let extractor = Arc::new(ChildExtractor { program });
    let indexed = server.index_texts(&folder, extractor);
    indexed.map_err(|error| CliError::io("open", &folder, error))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Another program in the place of ours, written by a process of its own: what is open for writing cannot be run.
    async fn extractor(folder: &std::path::Path, script: &str) -> ChildExtractor {
        let program = folder.join("program");
        let written = Command::new("/bin/sh")
            .args([
                "-c",
                "printf '%s\\n' '#!/bin/sh' \"$1\" > \"$0\" && chmod 700 \"$0\"",
            ])
            .arg(&program)
            .arg(script)
            .status();
        assert!(written.await.is_ok_and(|status| status.success()));
        ChildExtractor { program }
    }

    #[tokio::test]
    async fn nobody_hears_what_the_process_says_besides_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let says = "test /proc/self/fd/2 -ef /dev/null && echo nobody; echo 'of the document' >&2";
        let extractor = extractor(folder.path(), says).await;
        let text = extractor.text_of(b"a document".to_vec(), 100).await;
        assert_eq!(text.as_deref(), Some("nobody\n"));
    }
}
