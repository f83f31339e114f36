//! Remembers for a few seconds whom a token speaks for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cairn_metadata::{MetadataStore, Session, TokenHash};
use tokio::time::Instant;

use crate::error::ServiceError;

/// How long a session is believed without asking the store: what a change made behind the server's back may take.
const BELIEVED: Duration = Duration::from_secs(10);
/// Sessions that are remembered.
const REMEMBERED: u64 = 10_000;

pub(crate) struct Sessions {
    /// With the moment at which each was looked up. The cache's own clock cannot be set, as that of a simulation is.
    known: moka::sync::Cache<TokenHash, (Session, Instant)>,
    /// Grows with every revocation, so that a look-up that began before one is not remembered after it.
    revocations: AtomicU64,
}

impl Sessions {
    pub(crate) fn new() -> Self {
        Self {
            known: moka::sync::Cache::new(REMEMBERED),
            revocations: AtomicU64::new(0),
        }
    }

    pub(crate) async fn find(
        &self,
        metadata: &dyn MetadataStore,
        token: &TokenHash,
    ) -> Result<Option<Session>, ServiceError> {
        if let Some((session, since)) = self.known.get(token)
            && since.elapsed() < BELIEVED
        {
            return Ok(Some(session));
        }
        let before = self.revocations.load(Ordering::SeqCst);
        let since = Instant::now();
        let session = metadata.session(token).await?;
        if let Some(session) = &session {
            self.known.insert(token.clone(), (session.clone(), since));
            if self.revocations.load(Ordering::SeqCst) != before {
                self.known.invalidate(token);
            }
        }
        Ok(session)
    }

    /// Asks the store again for every token from now on. Revocations are rare and look-ups cheap, so all go at once.
    pub(crate) fn forget_all(&self) {
        self.revocations.fetch_add(1, Ordering::SeqCst);
        self.known.invalidate_all();
    }
}
