//! Since when a disk may have lost, with the power, what was put there: that such a node is gone is no deletion.
//!
//! A name whose folder was not synced is forgotten with the power, be it of a new file, of a new folder with all in it, or of
//! what was moved. Where that was sent before, nobody wants it deleted from the server. Where a user deleted it, the folder
//! shows a later change.

use cairn_core::time::Timestamp;

use crate::fs::Fingerprint;
use crate::state::{ClientState, StateResult};

/// The setting that holds the two moments, in milliseconds since 1970, from a start after a loss of power until all was looked
/// at.
const LOST_SINCE_SETTING: &str = "lost-since";

/// What was put on the disk between these moments may have been lost. What has a later time has it from before the clock was
/// set back: of that no time tells whether it was deleted since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LostSince {
    from: Timestamp,
    to: Timestamp,
}

impl LostSince {
    /// What was noted and not yet forgotten.
    pub(crate) async fn load(state: &dyn ClientState) -> StateResult<Option<Self>> {
        let noted = state.setting(LOST_SINCE_SETTING).await?;
        Ok(noted.and_then(|text| Self::parse(&text)))
    }

    fn parse(text: &str) -> Option<Self> {
        let (from, to) = text.split_once(' ')?;
        Some(Self {
            from: Timestamp::from_millis(from.parse().ok()?),
            to: Timestamp::from_millis(to.parse().ok()?),
        })
    }

    /// Notes the moments, with those of an earlier loss that was not looked at yet.
    pub(crate) async fn note(state: &dyn ClientState, from: Timestamp, to: Timestamp) -> StateResult<()> {
        let noted = Self::load(state).await?;
        let from = noted.map_or(from, |noted| noted.from.min(from));
        let to = noted.map_or(to, |noted| noted.to.max(to));
        let text = format!("{} {}", from.as_millis(), to.as_millis());
        state.set_setting(LOST_SINCE_SETTING, Some(&text)).await
    }

    /// Forgets them: whatever is gone from now on was deleted.
    pub(crate) async fn forget(state: &dyn ClientState) -> StateResult<()> {
        if Self::load(state).await?.is_some() {
            state.set_setting(LOST_SINCE_SETTING, None).await?;
        }
        Ok(())
    }

    /// Whether the disk may have lost a node that was last seen so. Making it, moving it and writing to it set its change time.
    pub(crate) const fn covers(self, seen: &Fingerprint) -> bool {
        let second = seen.ctime.seconds;
        self.from.as_millis().div_euclid(1_000) <= second && second <= self.to.as_millis().div_euclid(1_000)
    }
}
