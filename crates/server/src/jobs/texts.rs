//! Keeps the index of what files hold up to the journals.

use std::collections::BTreeSet;
use std::sync::Arc;

use cairn_core::ids::NamespaceId;
use tokio::time::Instant;

use crate::error::ServiceError;
use crate::state::State;
use crate::text_index::TextIndex;

/// Namespaces in one page of a full round.
const NAMESPACES_PAGE: usize = 500;

/// Follows commits, with a full round at the start and now and then. Ends at once where nothing is indexed.
pub(super) async fn run(state: Arc<State>) {
    let Some(index) = state.texts.get() else {
        return;
    };
    loop {
        if let Err(error) = full_round(&state, index).await {
            tracing::warn!(%error, "cannot list what is to be indexed; the next round tries again");
        }
        let round = Instant::now();
        while let Some(namespaces) = super::before_next_round(&state, &index.dirty, round).await {
            for namespace in namespaces {
                fill(&state, index, namespace).await;
            }
        }
    }
}

/// Brings every index up to its journal, and removes those of namespaces that have gone.
pub(crate) async fn full_round(state: &Arc<State>, index: &Arc<TextIndex>) -> Result<(), ServiceError> {
    let (mut after, mut all) = (None, BTreeSet::new());
    loop {
        let page = state.metadata.namespaces(after, NAMESPACES_PAGE).await?;
        for namespace in &page {
            fill(state, index, *namespace).await;
        }
        after = page.last().copied();
        all.extend(page.iter().copied());
        if page.len() < NAMESPACES_PAGE {
            break;
        }
    }
    if let Err(error) = index.keep_only(&all) {
        tracing::warn!(%error, "cannot remove indexes that nobody needs");
    }
    Ok(())
}

async fn fill(state: &Arc<State>, index: &Arc<TextIndex>, namespace: NamespaceId) {
    if let Err(error) = index.fill(state, namespace).await {
        tracing::warn!(namespace.id = %namespace, %error, "cannot index what files hold; the next round tries again");
    }
}
