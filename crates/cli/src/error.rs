//! From what went wrong to one sentence on stderr and an exit code.

use std::error::Error;
use std::fmt;
use std::path::Path;

use cairn_api::error::ErrorCode;
use cairn_client::control::ControlError;
use cairn_client::files::FilesError;
use cairn_client::lock::LockError;
use cairn_client::profile::ProfileError;
use cairn_client::remote::RemoteError;

/// What a command gives.
pub(crate) type CliResult<T = ()> = Result<T, CliError>;

/// The exit codes. They are part of the interface: scripts tell failures apart by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Something else.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// This device is not linked to a server.
    NotLinked = 3,
    /// No daemon runs.
    NotRunning = 4,
    /// The server refused, or somebody else was faster.
    Refused = 5,
    /// The server cannot be reached.
    Network = 6,
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) struct CliError {
    /// For scripts.
    pub(crate) exit: Exit,
    /// Whether the server says that this device is to delete what it keeps.
    pub(crate) asks_wipe: bool,
    message: String,
    next_step: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl CliError {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            asks_wipe: false,
            message: message.into(),
            next_step: None,
            source: None,
        }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// This device has no profile.
    pub(crate) fn not_linked() -> Self {
        Self::new(Exit::NotLinked, "this device is not linked to a server")
            .next("run \"cairn login URL --email YOU\", or \"cairn up\" to begin with a server of your own")
    }

    /// Something could not be done with a file.
    pub(crate) fn io(action: &str, path: &Path, source: std::io::Error) -> Self {
        Self::failed(format!("cannot {action} {}", path.display())).because(source)
    }

    /// Adds what to do now.
    pub(crate) fn next(mut self, step: impl Into<String>) -> Self {
        self.next_step.get_or_insert(step.into());
        self
    }

    /// Adds the cause.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts the thing that it is about in front.
    pub(crate) fn about(mut self, thing: &str) -> Self {
        self.message = format!("{thing}: {}", self.message);
        self
    }

    /// Whether it only says that nobody reads the output any more.
    pub(crate) fn is_closed_output(&self) -> bool {
        let source = self
            .source
            .as_ref()
            .and_then(|source| source.downcast_ref::<std::io::Error>());
        source.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

/// The sentence: what, why, what now.
impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut cause: Option<&dyn Error> = self.source.as_ref().map(|source| &**source as &dyn Error);
        let mut said = self.message.clone();
        while let Some(error) = cause {
            let text = error.to_string();
            // A transparent error says what its source says.
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            cause = error.source();
        }
        if let Some(step) = &self.next_step {
            write!(f, "; {step}")?;
        }
        Ok(())
    }
}

impl Error for CliError {}

impl From<RemoteError> for CliError {
    fn from(error: RemoteError) -> Self {
        let asks_wipe = error.asks_wipe();
        let (exit, step) = match &error {
            RemoteError::Refused(refusal) => match refusal.code {
                ErrorCode::NotAuthenticated | ErrorCode::TokenExpired => {
                    (Exit::NotLinked, Some("run \"cairn login\" again"))
                }
                ErrorCode::WipeAsked => (Exit::NotLinked, None),
                ErrorCode::SecondFactorNeeded => (Exit::Refused, Some("give one with --code")),
                ErrorCode::WrongCredentials | ErrorCode::Forbidden | ErrorCode::RateLimited => {
                    (Exit::Refused, None)
                }
                ErrorCode::OpIdReused | ErrorCode::TooLarge => (Exit::Refused, None),
                ErrorCode::Unavailable | ErrorCode::Timeout => (Exit::Network, Some("try again later")),
                _ => (Exit::Failed, None),
            },
            RemoteError::Unreachable { .. } => (
                Exit::Network,
                Some("check that the server runs and that this machine is online"),
            ),
            RemoteError::BadAddress { .. } => (Exit::Usage, None),
            RemoteError::UntrustedCertificate { .. } => (
                Exit::Refused,
                Some(
                    "if the server's owner confirms that fingerprint, link again with \"cairn login --fingerprint\"",
                ),
            ),
            RemoteError::NotCairn { .. } => (Exit::Network, Some("check the address")),
            RemoteError::Malformed { .. } => (Exit::Network, Some("try again")),
            RemoteError::DamagedChunk { .. } => (Exit::Failed, Some("tell the server's owner")),
        };
        let built = match &error {
            RemoteError::Refused(refusal) => match refusal.request_id.as_str() {
                "" => Self::new(exit, refusal.message.clone()),
                id if exit == Exit::Failed => Self::new(
                    exit,
                    format!("{} (request {id})", refusal.message.trim_end_matches('.')),
                ),
                _ => Self::new(exit, refusal.message.clone()),
            },
            _ => Self::new(exit, error.to_string()).because(error),
        };
        let built = Self { asks_wipe, ..built };
        match step {
            Some(step) => built.next(step),
            None => built,
        }
    }
}

impl From<FilesError> for CliError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Remote(error) => error.into(),
            FilesError::NotFound => Self::refused(error.to_string()).next("run the command again"),
            _ => Self::failed(error.to_string()).because(error),
        }
    }
}

impl From<ControlError> for CliError {
    fn from(error: ControlError) -> Self {
        let (exit, step) = match &error {
            ControlError::NotRunning { .. } => (Exit::NotRunning, Some("begin with \"cairn start DIR\"")),
            ControlError::NotResponding { .. } => (
                Exit::NotRunning,
                Some("try again, or end the process and run \"cairn start DIR\""),
            ),
            ControlError::AlreadyRunning { .. } => (
                Exit::Failed,
                Some("see \"cairn status\", or end it with \"cairn stop\""),
            ),
            ControlError::PathTooLong { .. } => (Exit::Failed, Some("set CAIRN_HOME to a shorter path")),
            _ => (Exit::Failed, None),
        };
        let built = Self::new(exit, error.to_string()).because(error);
        match step {
            Some(step) => built.next(step),
            None => built,
        }
    }
}

impl From<ProfileError> for CliError {
    fn from(error: ProfileError) -> Self {
        Self::failed(error.to_string()).because(error)
    }
}

impl From<LockError> for CliError {
    fn from(error: LockError) -> Self {
        Self::failed(error.to_string()).because(error)
    }
}
