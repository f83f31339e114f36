//! The page on which people see what is linked to their account.

use cairn_api::error::ErrorCode;
use cairn_api::sync::{Whoami, WipeOrder, path};

use crate::browser::{Browser, between, text};
use crate::support::{Device, World, assert_refused};

const ADA: &str = "ada@example.org";
const ACCOUNT: &str = "/account";

async fn id_of(device: &Device<'_>) -> String {
    device.get(path::WHOAMI).await.ok::<Whoami>().device.to_string()
}

#[tokio::test]
async fn devices_are_unlinked_and_wiped_with_a_browser() {
    let world = World::new();
    let (kept, lost, old) = (
        world.device(ADA).await,
        world.link(ADA).await,
        world.link(ADA).await,
    );
    world.link_app(ADA, &[]).await;
    let browser = Browser::new(&world);
    assert!(text(&browser.get(ACCOUNT).await).contains("Sign in to see"));
    browser.sign_in(ACCOUNT, ADA).await;
    let page = text(&browser.get(ACCOUNT).await);
    assert!(page.contains(ADA) && page.contains("a device, last seen") && page.contains("an app, last seen"));
    assert_eq!(page.matches("wipe-everything").count(), 3, "an app keeps nothing");

    let press = async |action, id: &str| browser.press(ACCOUNT, action, &[("device", id)]).await;
    let (kept_id, lost_id, old_id) = (id_of(&kept).await, id_of(&lost).await, id_of(&old).await);
    let done = press("wipe-everything", &lost_id).await;
    assert!(text(&done).contains("deletes what it keeps"), "{}", text(&done));
    assert!(lost.get(path::WIPE).await.ok::<WipeOrder>().everything);
    let done = press("unlink", &old_id).await;
    assert!(text(&done).contains("It is unlinked."));
    assert_refused(&old.get(path::WHOAMI).await, ErrorCode::NotAuthenticated);
    assert_eq!(press("unlink", &old_id).await.status, 404);
    assert_eq!(press("burn", &kept_id).await.status, 400);
    kept.get(path::WHOAMI).await.ok::<Whoami>();
    browser.press(ACCOUNT, "sign-out", &[]).await;
    assert!(text(&browser.get(ACCOUNT).await).contains("Sign in to see"));
}

#[tokio::test]
async fn nothing_is_unlinked_by_another_site_or_another_account() {
    let world = World::new();
    let ada = world.device(ADA).await;
    world.account("eve@example.org").await;
    let id = id_of(&ada).await;
    let mut eve = Browser::new(&world);
    eve.sign_in(ACCOUNT, "eve@example.org").await;
    let refused = eve.press(ACCOUNT, "wipe", &[("device", id.as_str())]).await;
    assert_eq!(refused.status, 404);
    let mut own = Browser::new(&world);
    own.sign_in(ACCOUNT, ADA).await;
    let page = text(&own.get(ACCOUNT).await);
    let token = between(&page, "name=\"form_token\" value=\"", "\"");
    let fields = [("action", "unlink"), ("device", id.as_str())];
    assert_eq!(own.post(ACCOUNT, &fields).await.status, 403);
    own.headers.push(("sec-fetch-site", "cross-site"));
    let with_token = [("form_token", token.as_str()), fields[0], fields[1]];
    assert_eq!(own.post(ACCOUNT, &with_token).await.status, 403);
    eve.headers.clear();
    ada.get(path::WHOAMI).await.ok::<Whoami>();
}
