//! The server: surfaces, services and jobs over the two seams.
//!
//! A surface parses, authenticates and maps errors; a service holds a use case, written once. The metadata store says
//! who has what, the chunk store keeps the bytes; neither is named here by its type.
//!
//! To add a route to `/sync/1`: its messages and path in `cairn_api::sync`, a file in `sync/`, its use case in
//! `service/`, a line in [`Server::router`]'s table and in `docs/protocol.md`, a test in `tests/it`.

mod account;
mod auth;
mod body;
mod config;
mod cookies;
mod data_folder;
mod error;
mod forms;
mod html;
mod jobs;
mod limiter;
mod mail;
mod memory;
mod metrics;
mod notify;
mod oauth;
mod oidc;
mod people;
mod public;
mod request;
mod serve;
pub mod service;
mod sign_in;
mod state;
mod sync;
mod text_index;
pub mod tls;
mod web;

use std::io;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use cairn_chunks::ChunkStore;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::runtime::Runtime;
use cairn_metadata::{Email, MetadataStore};

pub use config::{LoginLimits, ServerConfig, SignUp};
pub use data_folder::{DataFolder, DataFolderError};
pub use error::ServiceError;
pub use mail::{Letter, MailConfig, MailEncryption, MailError};
pub use oidc::{OidcConfig, OidcError};
#[cfg(any(fuzzing, test))]
pub use public::fuzzing;
pub use request::SPANS;
pub use serve::{ServeError, serve};
pub use text_index::TextExtractor;

use state::State;
use text_index::TextIndex;

/// The services over one pair of stores, ready to be served. Clones share everything.
#[derive(Clone)]
pub struct Server {
    state: Arc<State>,
}

impl Server {
    /// Puts the services together. Starts nothing: [`serve()`] runs the jobs.
    pub fn open(
        config: ServerConfig,
        metadata: Arc<dyn MetadataStore>,
        chunks: Arc<dyn ChunkStore>,
        runtime: Runtime,
    ) -> Self {
        Self {
            state: Arc::new(State::new(config, metadata, chunks, runtime)),
        }
    }

    /// All routes. A request that did not come through [`serve()`] has no peer address and shares one login throttle.
    pub fn router(&self) -> Router {
        let routes = sync::routes()
            .merge(public::routes())
            .merge(oauth::routes())
            .merge(people::routes())
            .merge(account::routes())
            .merge(oidc::routes())
            .merge(web::routes())
            .fallback(web::not_found);
        routes
            .method_not_allowed_fallback(web::method_not_allowed)
            .layer(axum::middleware::from_fn_with_state(
                Arc::clone(&self.state),
                request::observe,
            ))
            .layer(axum::middleware::from_fn(public::read_to_the_end))
            .with_state(Arc::clone(&self.state))
    }

    /// Starts the jobs, once in a server's life; [`serve()`] does it too. They end with the tasks of the runtime.
    pub fn start_jobs(&self) {
        jobs::start(&self.state);
    }

    /// Sends mail from now on: invitations and links by which a password is reset, also to who asks for one at `/reset`.
    ///
    /// # Errors
    /// [`MailError::Settings`]; the mail server is not asked yet.
    pub fn use_mail(&self, config: &MailConfig) -> Result<(), MailError> {
        let mailer = mail::Mailer::new(config)?;
        // Whoever sets it first has set it.
        let _ = self.state.mailer.set(mailer);
        Ok(())
    }

    /// Lets people sign in by an OpenID provider from now on, besides the password.
    ///
    /// # Errors
    /// [`OidcError`]; the provider is not asked yet.
    pub fn use_oidc(&self, config: OidcConfig) -> Result<(), OidcError> {
        let provider = oidc::Provider::new(config)?;
        // Whoever sets it first has set it.
        let _ = self.state.oidc.set(provider);
        Ok(())
    }

    /// Indexes what files hold from now on, in a folder that holds nothing else, and finds them by it. To be called before the
    /// jobs are started: one of them fills the index. Whoever removes the folder between two runs has it made anew.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn index_texts(&self, folder: &Path, extractor: Arc<dyn TextExtractor>) -> io::Result<()> {
        let index = TextIndex::open(folder, extractor)?;
        // Whoever sets it first has set it.
        let _ = self.state.texts.set(Arc::new(index));
        Ok(())
    }

    /// Brings the index of what files hold up to all that was committed, which the job does some seconds later; for tests.
    ///
    /// # Errors
    /// Those of the metadata store.
    pub async fn catch_up_texts(&self) -> Result<(), ServiceError> {
        match self.state.texts.get() {
            Some(index) => jobs::texts::full_round(&self.state, index).await,
            None => Ok(()),
        }
    }

    /// Sends a letter; false where no mail is configured.
    ///
    /// # Errors
    /// [`MailError`] when the mail server has not taken it.
    pub async fn send(&self, to: &str, letter: &Letter) -> Result<bool, MailError> {
        match Email::new(to) {
            Some(to) => mail::send(&self.state, &to, letter).await,
            None => Ok(false),
        }
    }

    /// Makes what was just changed about accounts and devices in the metadata store count at once: forgets every
    /// session that is remembered. Without it a disabled account keeps its access for some seconds.
    pub fn forget_sessions(&self) {
        self.state.auth.sessions.forget_all();
    }

    /// How many event streams and long polls are waiting, for monitors and tests.
    pub fn waiting_devices(&self) -> usize {
        self.state.notifier.waiter_count()
    }

    /// Unlinks a device as its own logout would: its token is refused and its event stream ends at once.
    ///
    /// # Errors
    /// Those of the metadata store.
    pub async fn unlink_device(&self, account: AccountId, device: DeviceId) -> Result<bool, ServiceError> {
        auth::unlink(&self.state, account, device).await
    }
}
