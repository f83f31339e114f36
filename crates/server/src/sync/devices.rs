//! `GET /sync/1/devices`: the account's devices.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{DeviceRow, Devices};
use cairn_metadata::LinkKind;

use crate::auth::Caller;
use crate::body::{Answer, Reply};
use crate::state::State;

pub(super) async fn devices(Shared(state): Shared<Arc<State>>, caller: Caller) -> Answer<Devices> {
    let devices = state
        .metadata
        .devices(caller.account)
        .await
        .map_err(crate::error::ServiceError::from)?;
    let row = |device: cairn_metadata::Device| DeviceRow {
        id: device.id,
        name: device.name,
        created_at: device.created_at,
        last_seen_at: device.last_seen_at,
        kind: Some(kind(device.kind).to_owned()),
        is_to_be_wiped: Some(device.wipe.is_some()),
    };
    Ok(Reply(Devices {
        devices: devices.into_iter().map(row).collect(),
    }))
}

const fn kind(kind: LinkKind) -> &'static str {
    match kind {
        LinkKind::Device => "device",
        LinkKind::App => "app",
        LinkKind::Token => "token",
    }
}
