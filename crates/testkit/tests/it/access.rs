//! Tokens and apps, made and revoked with the real program.

use anyhow::{Result, ensure};
use cairn_testkit::world::{EMAIL, World};

#[test]
fn a_token_is_made_listed_and_revoked() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let made = ada.run(&[
        "token",
        "create",
        "--name",
        "backup",
        "--scope",
        "files.content.read",
        "--days",
        "30",
    ])?;
    ensure!(made.success()?.text().contains("cairn_"));
    world
        .server
        .admin(&["token", "create", EMAIL, "--name", "nightly"])?
        .success()?;
    let listed = ada.run(&["token", "list"])?.success()?.text();
    ensure!(
        listed.contains("backup") && listed.contains("nightly"),
        "{listed}"
    );
    let all = ada.run(&["devices"])?.success()?.text();
    ensure!(
        all.contains("(this device)") && all.contains("backup  (token)"),
        "{all}"
    );
    for line in listed.lines() {
        let id = line.split(' ').next().unwrap_or_default();
        if line.contains("backup") {
            ada.run(&["token", "revoke", id])?.success()?;
        } else {
            world.server.admin(&["token", "revoke", EMAIL, id])?.success()?;
        }
    }
    ensure!(ada.run(&["token", "list"])?.success()?.text().trim().is_empty());
    ada.run(&["token", "revoke", "0123456789abcdef"])?
        .refuses(5, &["no token"])?;
    ada.run(&["token", "create", "--scope", "everything"])?
        .refuses(1, &["no scope"])?;
    ada.run(&["token", "create", "--scope", "sync"])?
        .refuses(1, &["sync"])?;
    Ok(())
}

#[test]
fn another_device_is_unlinked_from_here() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    let lost = world.device("lost")?;
    let devices = ada.run(&["devices"])?.success()?.text();
    let line = devices
        .lines()
        .find(|line| !line.contains("(this device)"))
        .unwrap_or_default();
    let id = line.split(' ').next().unwrap_or_default();
    ada.run(&["devices", "unlink", id])?.success()?;
    lost.run(&["whoami"])?.refuses(3, &["log in"])?;
    ada.run(&["devices", "unlink", id])?
        .refuses(1, &["does not exist"])?;
    ada.run(&["whoami"])?.success()?;
    Ok(())
}

#[test]
fn an_app_is_registered_and_forgotten() -> Result<()> {
    let world = World::new()?;
    let admin = |arguments: &[&str]| world.server.admin(arguments);
    let added = admin(&[
        "app",
        "add",
        "Backup",
        "--redirect",
        "https://backup.example/done",
    ])?
    .success()?
    .text();
    let key = added
        .lines()
        .find_map(|line| line.strip_prefix("Key"))
        .unwrap_or_default()
        .trim()
        .to_owned();
    ensure!(added.contains("Secret  cairn_") && key.len() == 20, "{added}");
    let listed = admin(&["app", "list"])?.success()?.text();
    ensure!(
        listed.contains(&key) && listed.contains("https://backup.example/done"),
        "{listed}"
    );
    admin(&["app", "remove", &key])?.success()?;
    admin(&["app", "remove", &key])?.refuses(5, &["does not exist"])?;
    admin(&["app", "add", "Evil", "--redirect", "http://evil.example/"])?.refuses(5, &["https"])?;
    Ok(())
}

#[test]
fn what_the_operator_does_is_in_the_audit_log() -> Result<()> {
    let world = World::new()?;
    world.device("ada")?;
    let admin = |arguments: &[&str]| world.server.admin(arguments);
    let link = admin(&["invite", "--url", "https://cairn.example"])?
        .success()?
        .text();
    ensure!(
        link.starts_with("https://cairn.example/join?link=cairn_"),
        "{link}"
    );
    let link = admin(&["reset-link", EMAIL])?.success()?.text();
    ensure!(link.starts_with("/reset?link=cairn_"), "{link}");
    let log = admin(&["audit", "export"])?.success()?.text();
    for event in [
        "admin-user-added",
        "login",
        "admin-invited",
        "admin-reset-link-made",
    ] {
        ensure!(
            log.contains(&format!("\"event\":\"{event}\"")),
            "no {event}: {log}"
        );
    }
    ensure!(!log.contains('@') && !log.contains("cairn_"), "{log}");
    Ok(())
}
