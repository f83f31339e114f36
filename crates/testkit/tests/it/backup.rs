//! A server's data is copied as docs/operations.md says, and put back later: devices merge, and nothing is deleted.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cairn_testkit::device::{Device, PATIENCE};
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

/// Copies a folder; what the running server alone needs is left out.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Makes two devices equal whose daemons do not run.
fn meet(ada: &Device, bob: &Device) -> Result<()> {
    for device in [ada, bob, ada] {
        device.sync_once()?;
    }
    assert_same(ada, bob)?;
    Ok(())
}

/// Puts a copy in the place of the data, and checks that both devices lose nothing by it.
fn restore_and_check(world: &mut World, ada: &Device, bob: &Device, backup: &Path) -> Result<()> {
    world.server.stop()?;
    let data = world.server.data().to_owned();
    fs::rename(&data, world.path("data of after the backup"))?;
    fs::rename(backup, &data)?;
    world.server.start()?;
    meet(ada, bob)?;
    let listing = ada.listing()?;
    assert_eq!(listing.len(), 4, "{:?}", listing.paths());
    for content in [
        "deleted later, before the backup",
        // What the backup has of it is the version before, and no conflict.
        "edited after the backup",
        "made after the backup",
        "old, before the backup",
    ] {
        ensure!(
            listing.holds(&blake3::hash(content.as_bytes())),
            "lost: {content}"
        );
    }
    let fresh = world.device("fresh")?;
    fresh.sync_once()?;
    assert_same(ada, &fresh)?;
    fresh.run_within(PATIENCE, &["verify"])?.success()?;
    Ok(())
}

fn before_the_backup(ada: &Device, bob: &Device) -> Result<()> {
    for name in ["deleted later", "edited", "old"] {
        ada.write(name, format!("{name}, before the backup"))?;
    }
    meet(ada, bob)
}

fn after_the_backup(ada: &Device, bob: &Device) -> Result<()> {
    bob.write("new", "made after the backup")?;
    bob.write("edited", "edited after the backup")?;
    fs::remove_file(bob.path("deleted later"))?;
    bob.sync_once()?;
    meet(ada, bob)
}

#[test]
fn a_copy_of_a_stopped_server_is_a_backup() -> Result<()> {
    let mut world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    before_the_backup(&ada, &bob)?;
    let backup = world.path("backup");
    world.server.stop()?;
    copy(world.server.data(), &backup)?;
    world.server.start()?;
    after_the_backup(&ada, &bob)?;
    restore_and_check(&mut world, &ada, &bob, &backup)
}

#[test]
fn names_and_then_contents_of_a_running_server_are_a_backup() -> Result<()> {
    let mut world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    before_the_backup(&ada, &bob)?;
    let backup = world.path("backup");
    fs::create_dir(&backup)?;
    vacuum_into(
        &world.server.data().join("metadata.db"),
        &backup.join("metadata.db"),
    )?;
    // Whatever comes in between only makes the contents more than the names.
    ada.write("in between", "between names and contents")?;
    ada.sync_once()?;
    copy(&world.server.data().join("chunks"), &backup.join("chunks"))?;
    fs::remove_file(ada.path("in between"))?;
    meet(&ada, &bob)?;
    after_the_backup(&ada, &bob)?;
    restore_and_check(&mut world, &ada, &bob, &backup)
}

/// What `sqlite3 FROM "VACUUM INTO 'TO'"` does.
fn vacuum_into(from: &Path, to: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(from);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        sqlx::query("VACUUM INTO $1")
            .bind(to.to_string_lossy().into_owned())
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(())
    })
}
