//! A server with one account, and the devices of that account.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::device::Device;
use crate::server::Server;

/// The account's address.
pub const EMAIL: &str = "ada@example.org";
/// Its password.
pub const PASSWORD: &str = "correct horse battery staple";

/// Everything of one test, in a folder that is removed with it.
#[derive(Debug)]
pub struct World {
    /// Declared first: it is stopped before its folder is removed.
    pub server: Server,
    dir: TempDir,
}

impl World {
    /// A running server with an account.
    ///
    /// # Errors
    /// When the program is not built or the server does not start.
    pub fn new() -> Result<Self> {
        Self::in_dir(&std::env::temp_dir())
    }

    /// The same in a folder of its own below `base`.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn in_dir(base: &Path) -> Result<Self> {
        Self::with_server(base, |_, server| server)
    }

    /// The same with a server that `change` makes different before its first start; it gets the world's folder too.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn with_server(base: &Path, change: impl FnOnce(&Path, Server) -> Server) -> Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("cairn-test-")
            .tempdir_in(base)
            .with_context(|| format!("cannot make a folder in {}", base.display()))?;
        let mut server = change(dir.path(), Server::new(&dir.path().join("server"))?);
        server.start()?;
        server.add_account(EMAIL, PASSWORD)?;
        Ok(Self { server, dir })
    }

    /// A folder for the test's own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A path in that folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A device that is not linked.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn stranger(&self, name: &str) -> Result<Device> {
        Device::new(&self.path(name), name)
    }

    /// A linked device.
    ///
    /// # Errors
    /// When the link is refused.
    pub fn device(&self, name: &str) -> Result<Device> {
        self.device_through(name, self.server.url())
    }

    /// A linked device that reaches the server at another address.
    ///
    /// # Errors
    /// When the link is refused.
    pub fn device_through(&self, name: &str, url: &str) -> Result<Device> {
        let device = self.stranger(name)?;
        device.login(url, EMAIL, PASSWORD, &[])?.success()?;
        Ok(device)
    }
}
