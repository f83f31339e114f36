//! No space left, on either side.

use anyhow::{Context, Result, ensure};
use cairn_testkit::device::PATIENCE;
use cairn_testkit::random::Random;
use cairn_testkit::raw;
use cairn_testkit::small_disk::SmallDisk;
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;

#[test]
fn a_full_server_refuses_and_goes_on_when_there_is_room() -> Result<()> {
    let base = tempfile::tempdir()?;
    let disk = SmallDisk::mount(&base.path().join("disk"), 64)?;
    let data = disk.path().join("data");
    let mut world = World::with_server(base.path(), |_, server| server.with_data(&data))?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("before", "there was room")?;
    ada.sync_once()?;
    disk.fill(256 * 1024)?;
    ada.write("too much", Random::new(1).bytes(8 << 20))?;
    let told = ada.try_sync_once(PATIENCE)?;
    let code = told.code.context("it ended by a signal")?;
    ensure!(code != 0, "it cannot have been stored: {told}");
    told.refuses(code, &["space"])?;
    assert_eq!(
        ada.cat("/before")?,
        b"there was room",
        "what was stored stays readable"
    );
    disk.free()?;
    ada.sync_once()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    world.server.stop()?;
    world.server.start()?;
    ensure!(bob.cat("/too much")? == ada.read("too much")?);
    Ok(())
}

#[test]
fn a_full_server_tells_apps_so_and_keeps_what_it_has() -> Result<()> {
    let base = tempfile::tempdir()?;
    let disk = SmallDisk::mount(&base.path().join("disk"), 64)?;
    let data = disk.path().join("data");
    let mut world = World::with_server(base.path(), |_, server| server.with_data(&data))?;
    let email = "app@example.org";
    world.server.add_account(email, "correct horse battery staple")?;
    let token = world
        .server
        .admin(&["token", "create", email, "--json"])?
        .success()?;
    let token: serde_json::Value = serde_json::from_slice(&token.stdout)?;
    let bearer = format!("Bearer {}", token["token"].as_str().context("a token")?);
    let call = |address, route: &str, argument: &str, body: &[u8]| {
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/octet-stream"),
            ("dropbox-api-arg", argument),
        ];
        raw::send(address, &format!("POST /2/files/{route}"), &headers, body)
    };
    let address = world.server.address()?;
    let before = call(address, "upload", r#"{"path": "/before"}"#, b"there was room")?;
    assert_eq!(before.status, 200, "{before:?}");
    disk.fill(256 * 1024)?;
    let too_much = Random::new(1).bytes(8 << 20);
    for _ in 0..3 {
        let refused = call(address, "upload", r#"{"path": "/too much"}"#, &too_much)?;
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        ensure!(
            refused.status == 409 && text.contains("path/insufficient_space/.."),
            "{} {text}",
            refused.status
        );
    }
    let kept = call(address, "download", r#"{"path": "/before"}"#, b"")?;
    assert_eq!((kept.status, &kept.body[..]), (200, &b"there was room"[..]));
    disk.free()?;
    let there = call(address, "upload", r#"{"path": "/too much"}"#, &too_much)?;
    assert_eq!(there.status, 200, "{there:?}");
    world.server.stop()?;
    world.server.start()?;
    let kept = call(
        world.server.address()?,
        "download",
        r#"{"path": "/too much"}"#,
        b"",
    )?;
    ensure!(kept.body == too_much);
    Ok(())
}

#[test]
fn a_full_device_keeps_what_it_has_and_goes_on_when_there_is_room() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let disk = SmallDisk::mount(&world.path("disk"), 32)?;
    let bob = world.device("bob")?.with_folder(&disk.path().join("folder"));
    ada.write("small", "first")?;
    ada.sync_once()?;
    bob.sync_once()?;
    disk.fill(2 << 20)?;
    ada.write("large", Random::new(2).bytes(8 << 20))?;
    ada.write("small", "second")?;
    ada.sync_once()?;
    bob.try_sync_once(PATIENCE)?.refuses(1, &["space", "large"])?;
    ensure!(!bob.path("large").exists(), "half a file must not be seen");
    assert_eq!(
        bob.read("small")?,
        b"second",
        "one file that does not fit must not hold up the others"
    );
    disk.free()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    Ok(())
}
