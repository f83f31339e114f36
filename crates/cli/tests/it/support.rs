//! Runs the program in a world of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A home that belongs to one test.
pub(crate) struct World {
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a folder for the test"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs `cairn` without a terminal; gives exit code, stdout and stderr as one text, with this world's path
    /// replaced.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(arguments)
            .env_clear()
            .env("HOME", self.path())
            .env("CAIRN_HOME", self.path().join("home"))
            .current_dir(self.path())
            .stdin(Stdio::null())
            .output()
            .expect("the program starts");
        let text = format!(
            "exit {}\n{}{}",
            output.status.code().expect("no signal ended it"),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        text.replace(&*self.path().to_string_lossy(), "WORLD")
    }

    /// Writes a profile as linking would: of a server at `url` that need not exist.
    pub(crate) fn link(&self, url: &str) {
        let home = self.path().join("home");
        std::fs::create_dir_all(&home).expect("a home");
        let id = "0000000000000123";
        let profile = format!(
            r#"{{"format":1,"server":"{url}","account":"{id}","email":"ada@example.org","device":"{id}",
               "device_name":"laptop","token":"cairn_{}","root":"{id}"}}"#,
            "0".repeat(64)
        );
        std::fs::write(home.join("profile.json"), profile).expect("a profile");
    }
}
