//! What is remembered of the version before of a file.

use cairn_core::base::{Base, BaseReader};
use cairn_core::node::FileContent;

use crate::state::{ClientState, StateResult};

/// What is remembered of a content; `None` when not all of its pages are, or it is too long.
pub(crate) async fn load(state: &dyn ClientState, content: &FileContent) -> StateResult<Option<Base>> {
    let mut reader = BaseReader::new(&content.manifest);
    while let Some(open) = reader {
        if open.wanted().is_empty() {
            return Ok(Some(open.finish()));
        }
        let found = state.pages(open.wanted()).await?;
        reader = open.give(found);
    }
    Ok(None)
}
