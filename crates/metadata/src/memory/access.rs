//! Apps, their links and codes.

use async_trait::async_trait;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;

use super::MemoryMetadata;
use crate::{
    AccessStore, AccessToken, App, AppKey, AppLink, AuthCode, CODES_PER_ACCOUNT, LinkKind, Result,
    TOKENS_PER_LINK, TokenHash, Wipe,
};

/// When a token goes; those that do not expire go last.
fn end(expires_at: Option<Timestamp>) -> i64 {
    expires_at.map_or(i64::MAX, Timestamp::as_millis)
}

#[async_trait]
impl AccessStore for MemoryMetadata {
    async fn add_token(
        &self,
        account: AccountId,
        device: DeviceId,
        token: &AccessToken,
        now: Timestamp,
    ) -> Result<bool> {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(link) = state.links.get_mut(&(account, device)) else {
            return Ok(false);
        };
        link.tokens.retain(|hash| {
            let end_of = |(_, token): &((AccountId, DeviceId), AccessToken)| end(token.expires_at);
            let is_alive = state
                .tokens
                .get(hash)
                .is_some_and(|row| end_of(row) >= now.as_millis());
            if !is_alive {
                state.tokens.remove(hash);
            }
            is_alive
        });
        link.tokens
            .sort_by_key(|hash| state.tokens.get(hash).map(|(_, token)| end(token.expires_at)));
        let surplus = (link.tokens.len() + 1).saturating_sub(TOKENS_PER_LINK);
        for hash in link.tokens.drain(..surplus) {
            state.tokens.remove(&hash);
        }
        link.tokens.push(token.hash.clone());
        state
            .tokens
            .insert(token.hash.clone(), ((account, device), token.clone()));
        Ok(true)
    }

    async fn ask_wipe(&self, account: AccountId, device: DeviceId, wipe: Wipe) -> Result<bool> {
        let mut state = self.lock();
        let link = state.links.get_mut(&(account, device));
        let Some(link) = link.filter(|link| link.device.kind == LinkKind::Device) else {
            return Ok(false);
        };
        link.device.wipe = Some(wipe);
        Ok(true)
    }

    async fn app_link(&self, refresh: &TokenHash) -> Result<Option<AppLink>> {
        let state = self.lock();
        let Some(link) = state.refreshes.get(refresh) else {
            return Ok(None);
        };
        Ok(state.accounts.get(&link.account).map(|account| AppLink {
            is_disabled: account.is_disabled,
            ..link.clone()
        }))
    }

    async fn put_app(&self, app: &App) -> Result<()> {
        let mut state = self.lock();
        let known = state.apps.get(&app.key).map(|known| known.created_at);
        let mut app = app.clone();
        app.created_at = known.unwrap_or(app.created_at);
        state.apps.insert(app.key.clone(), app);
        Ok(())
    }

    async fn app(&self, key: &AppKey) -> Result<Option<App>> {
        Ok(self.lock().apps.get(key).cloned())
    }

    async fn apps(&self, after: Option<&AppKey>, limit: usize) -> Result<Vec<App>> {
        let state = self.lock();
        let rest = state.apps.values().filter(|app| Some(&app.key) > after);
        Ok(rest.take(limit).cloned().collect())
    }

    async fn remove_app(&self, key: &AppKey) -> Result<bool> {
        let mut state = self.lock();
        if state.apps.remove(key).is_none() {
            return Ok(false);
        }
        let links = state.links.iter();
        let linked = links.filter(|(_, link)| link.device.app.as_ref() == Some(key));
        let linked: Vec<_> = linked.map(|(id, _)| *id).collect();
        for id in linked {
            state.unlink(id);
        }
        Ok(true)
    }

    async fn add_code(&self, code: &AuthCode, now: Timestamp) -> Result<()> {
        let mut state = self.lock();
        state
            .codes
            .retain(|_, known| known.account != code.account || known.expires_at >= now);
        let own = state.codes.values().filter(|known| known.account == code.account);
        let mut own: Vec<_> = own.map(|known| (known.expires_at, known.hash.clone())).collect();
        own.sort_by_key(|(expires_at, _)| *expires_at);
        let surplus = (own.len() + 1).saturating_sub(CODES_PER_ACCOUNT);
        for (_, hash) in own.drain(..surplus) {
            state.codes.remove(&hash);
        }
        state.codes.insert(code.hash.clone(), code.clone());
        Ok(())
    }

    async fn take_code(&self, hash: &TokenHash) -> Result<Option<AuthCode>> {
        Ok(self.lock().codes.remove(hash))
    }
}
