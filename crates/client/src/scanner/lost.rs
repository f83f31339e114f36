//! Since when a disk may have lost, with the power, what was put there: that such a node is gone is no deletion.
//!
//! A name whose folder was not synced is forgotten with the power, be it of a new file, of a new folder with all in it, or of
//! what was moved. Where that was sent before, nobody wants it deleted from the server. Where a user deleted it, the folder
//! shows a later change.

use cairn_core::time::Timestamp;

use crate::fs::Fingerprint;
use crate::state::{ClientState, StateResult};

/// The setting that holds the moment, in milliseconds since 1970, from a start after a loss of power until all was looked at.
const LOST_SINCE_SETTING: &str = "lost-since";

/// What was put on the disk at this moment or later may have been lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LostSince(Timestamp);

impl LostSince {
    /// The moment that was noted and not yet forgotten.
    pub(crate) async fn load(state: &dyn ClientState) -> StateResult<Option<Self>> {
        let noted = state.setting(LOST_SINCE_SETTING).await?;
        let ms = noted.and_then(|text| text.parse().ok());
        Ok(ms.map(Timestamp::from_millis).map(Self))
    }

    /// Notes a moment; an earlier one that is noted stays.
    pub(crate) async fn note(state: &dyn ClientState, moment: Timestamp) -> StateResult<()> {
        if Self::load(state).await?.is_some_and(|noted| noted.0 <= moment) {
            return Ok(());
        }
        let text = moment.as_millis().to_string();
        state.set_setting(LOST_SINCE_SETTING, Some(&text)).await
    }

    /// Forgets the moment: whatever is gone from now on was deleted.
    pub(crate) async fn forget(state: &dyn ClientState) -> StateResult<()> {
        if Self::load(state).await?.is_some() {
            state.set_setting(LOST_SINCE_SETTING, None).await?;
        }
        Ok(())
    }

    /// Whether the disk may have lost a node that was last seen so. Making it, moving it and writing to it set its change time.
    pub(crate) const fn covers(self, seen: &Fingerprint) -> bool {
        seen.ctime.seconds >= self.0.as_millis().div_euclid(1_000)
    }
}
