//! A device is unlinked, deletes what it keeps, and says so.

use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use cairn_api::error::ErrorCode;
use cairn_api::sync::{AskWipe, Devices, Unlink, Whoami, WipeOrder, Wiped, path};
use cairn_core::ids::DeviceId;

use crate::support::{Device, PASSWORD, World, assert_refused, login, soon};

const ADA: &str = "ada@example.org";

const fn ask(device: DeviceId, everything: bool) -> AskWipe {
    AskWipe { device, everything }
}

async fn id_of(device: &Device<'_>) -> DeviceId {
    device.get(path::WHOAMI).await.ok::<Whoami>().device
}

const DONE: Wiped = Wiped {
    removed: 2,
    unsent: 1,
    is_kept: true,
};

async fn events(world: &World, device: &Device<'_>) -> Vec<String> {
    let log = world.metadata.audit(Some(device.link.account), None, 99).await;
    log.unwrap().into_iter().map(|entry| entry.event).collect()
}

#[tokio::test]
async fn a_device_that_is_to_be_wiped_may_do_nothing_else() {
    let world = World::new();
    let ada = world.device(ADA).await;
    let lost = world.link(ADA).await;
    let id = id_of(&lost).await;
    assert_refused(&lost.get(path::WIPE).await, ErrorCode::NotFound);
    assert_refused(&lost.post(path::WIPED, &DONE).await, ErrorCode::NotFound);
    world.clock.advance(Duration::from_millis(1));
    let asked = ada.post(path::WIPE, &ask(id, true)).await;
    assert_eq!(asked.status, StatusCode::NO_CONTENT);
    for route in [path::WHOAMI, path::DEVICES, path::EVENTS] {
        let refused = assert_refused(&lost.get(route).await, ErrorCode::WipeAsked);
        assert!(refused.message.contains("unlinked"), "{}", refused.message);
    }
    let refused = lost.bytes(path::LOGOUT, Bytes::new()).await;
    assert_refused(&refused, ErrorCode::WipeAsked);
    let listed: Devices = ada.get(path::DEVICES).await.ok();
    let flags: Vec<_> = listed
        .devices
        .iter()
        .map(|device| (device.id == id, device.is_to_be_wiped))
        .collect();
    assert!(flags.contains(&(true, Some(true))) && flags.contains(&(false, Some(false))));

    let order: WipeOrder = lost.get(path::WIPE).await.ok();
    assert!(order.everything);
    world.clock.advance(Duration::from_millis(1));
    let done = lost.post(path::WIPED, &DONE).await;
    assert_eq!(done.status, StatusCode::NO_CONTENT);
    assert_refused(&lost.get(path::WIPE).await, ErrorCode::NotAuthenticated);
    assert_refused(&lost.post(path::WIPED, &DONE).await, ErrorCode::NotAuthenticated);
    let listed: Devices = ada.get(path::DEVICES).await.ok();
    assert_eq!(listed.devices.len(), 1);
    let events = events(&world, &ada).await;
    assert_eq!(events[events.len() - 2..], ["wipe-asked", "wiped-but-unsent"]);
}

#[tokio::test]
async fn nobody_else_may_ask_for_a_wipe() {
    let world = World::new();
    let ada = world.device(ADA).await;
    let eve = world.device("eve@example.org").await;
    assert_refused(
        &eve.post(path::WIPE, &ask(id_of(&ada).await, true)).await,
        ErrorCode::NotFound,
    );
    assert_refused(
        &ada.post(path::WIPE, &ask(id_of(&ada).await, true)).await,
        ErrorCode::BadRequest,
    );
    ada.get(path::WHOAMI).await.ok::<Whoami>();
    let app = world.link_app(ADA, &[]).await;
    let token = app.json["access_token"].as_str().unwrap().to_owned();
    let message = cairn_api::sync::to_cbor(&ask(id_of(&ada).await, true));
    let request = crate::support::request("POST", path::WIPE, Some(&token), message);
    assert_refused(&world.send(request).await, ErrorCode::Forbidden);
    assert!(!events(&world, &ada).await.contains(&"wipe-asked".to_owned()));
}

#[tokio::test]
async fn an_order_outlasts_the_lock_and_ends_with_a_new_link_or_a_plain_unlink() {
    let world = World::new();
    let ada = world.device(ADA).await;
    let lost = world.link(ADA).await;
    let id = id_of(&lost).await;
    ada.post(path::WIPE, &ask(id, false)).await;
    let metadata = world.metadata.as_ref();
    let lock = async |is_locked| {
        cairn_server::service::accounts::set_disabled(metadata, ADA, is_locked)
            .await
            .unwrap();
        world.server.forget_sessions();
    };
    lock(true).await;
    assert!(!lost.get(path::WIPE).await.ok::<WipeOrder>().everything);
    lock(false).await;
    let mut again = login(ADA, PASSWORD);
    again.device = id;
    let linked: cairn_api::sync::LoginReply = world.post(path::LOGIN, None, &again).await.ok();
    let request = crate::support::request("GET", path::WHOAMI, Some(&linked.token), Bytes::new());
    world.send(request).await.ok::<Whoami>();
    ada.post(path::WIPE, &ask(id, false)).await;
    let unlink = Unlink { device: id };
    ada.post(path::UNLINK, &unlink).await;
    let request = crate::support::request("GET", path::WIPE, Some(&linked.token), Bytes::new());
    assert_refused(&world.send(request).await, ErrorCode::NotAuthenticated);
}

#[tokio::test]
async fn an_open_event_stream_ends_when_a_wipe_is_asked_for() {
    let world = World::new();
    let ada = world.device(ADA).await;
    let lost = world.link(ADA).await;
    let id = id_of(&lost).await;
    let stream = lost.get(path::EVENTS);
    let ask = async {
        while world.server.waiting_devices() == 0 {
            tokio::task::yield_now().await;
        }
        ada.post(path::WIPE, &ask(id, false)).await
    };
    let (ended, _) = soon(async { tokio::join!(stream, ask) }).await;
    assert_eq!(ended.status, StatusCode::OK);
}
