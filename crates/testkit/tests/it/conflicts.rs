//! Both devices changed the same thing while they did not see each other: nothing is lost.

use std::fs;

use anyhow::{Context, Result, ensure};
use cairn_testkit::device::Device;
use cairn_testkit::tree::{Listing, assert_same};
use cairn_testkit::world::World;

/// Two devices that share `notes/plan.txt`.
fn shared() -> Result<(World, Device, Device)> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("notes/plan.txt", "the plan")?;
    ada.sync_once()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    Ok((world, ada, bob))
}

/// Ada is first at the server, then both meet.
fn meet(ada: &Device, bob: &Device) -> Result<Listing> {
    for device in [ada, bob, ada, bob] {
        device.sync_once()?;
    }
    assert_same(ada, bob)
}

#[test]
fn both_versions_of_a_file_edited_twice_are_kept() -> Result<()> {
    let (_world, ada, bob) = shared()?;
    ada.write("notes/plan.txt", "ada's plan")?;
    bob.write("notes/plan.txt", "bob's other plan")?;
    let listing = meet(&ada, &bob)?;
    assert_eq!(ada.read("notes/plan.txt")?, b"ada's plan");
    let copies = listing.named(|name| name.contains("conflict"));
    let [copy] = copies.as_slice() else {
        anyhow::bail!("one copy was expected: {copies:?}")
    };
    let name = copy.to_string_lossy().into_owned();
    let says_date = name
        .split(|c: char| !(c.is_ascii_digit() || c == '-'))
        .any(|word| word.len() == 10 && word.starts_with("20") && word.matches('-').count() == 2);
    ensure!(
        says_date && name.contains("bob") && name.ends_with(".txt"),
        "{name}"
    );
    assert_eq!(bob.read(copy)?, b"bob's other plan");
    assert_eq!(listing.files().0, 2);
    Ok(())
}

#[test]
fn the_same_edit_on_both_is_no_conflict() -> Result<()> {
    let (_world, ada, bob) = shared()?;
    for device in [&ada, &bob] {
        device.write("notes/plan.txt", "one mind")?;
        device.write("new.txt", "also new here")?;
    }
    let listing = meet(&ada, &bob)?;
    assert_eq!(listing.paths(), ["new.txt", "notes", "notes/plan.txt"]);
    Ok(())
}

#[test]
fn an_edit_wins_over_a_delete() -> Result<()> {
    for editor_is_first in [true, false] {
        let (_world, ada, bob) = shared()?;
        let (editor, deleter) = if editor_is_first {
            (&ada, &bob)
        } else {
            (&bob, &ada)
        };
        editor.write("notes/plan.txt", "a better plan")?;
        fs::remove_dir_all(deleter.path("notes"))?;
        meet(&ada, &bob)?;
        assert_eq!(deleter.read("notes/plan.txt")?, b"a better plan");
    }
    Ok(())
}

#[test]
fn an_edit_and_a_move_both_apply() -> Result<()> {
    let (_world, ada, bob) = shared()?;
    ada.write("notes/plan.txt", "a better plan")?;
    fs::create_dir(bob.path("archive"))?;
    fs::rename(bob.path("notes/plan.txt"), bob.path("archive/old plan.txt"))?;
    let listing = meet(&ada, &bob)?;
    assert_eq!(listing.paths(), ["archive", "archive/old plan.txt", "notes"]);
    assert_eq!(ada.read("archive/old plan.txt")?, b"a better plan");
    Ok(())
}

#[test]
fn two_different_files_of_one_name_are_both_kept() -> Result<()> {
    let (_world, ada, bob) = shared()?;
    ada.write("new.txt", "made by ada")?;
    bob.write("new.txt", "made by bob")?;
    let listing = meet(&ada, &bob)?;
    for content in ["made by ada", "made by bob"] {
        ensure!(
            listing.holds(&blake3::hash(content.as_bytes())),
            "lost: {content}"
        );
    }
    assert_eq!(ada.read("new.txt")?, b"made by ada");
    assert_eq!(listing.files().0, 3);
    Ok(())
}

#[test]
fn a_file_and_a_folder_of_one_name_are_both_kept() -> Result<()> {
    let (_world, ada, bob) = shared()?;
    ada.write("thing", "a file")?;
    bob.write("thing/inside", "in a folder")?;
    let listing = meet(&ada, &bob)?;
    assert_eq!(ada.read("thing/inside")?, b"in a folder");
    ensure!(listing.holds(&blake3::hash(b"a file")), "{:?}", listing.paths());
    Ok(())
}

#[test]
fn a_new_file_keeps_the_folder_that_was_deleted_elsewhere() -> Result<()> {
    let (_world, ada, bob) = shared()?;
    fs::remove_dir_all(ada.path("notes"))?;
    bob.write("notes/new.txt", "not seen by ada")?;
    let listing = meet(&ada, &bob)?;
    assert_eq!(listing.paths(), ["notes", "notes/new.txt"]);
    Ok(())
}

#[test]
fn folders_moved_into_each_other_stay() -> Result<()> {
    let (_world, ada, bob) = shared()?;
    ada.write("a/in a", "a")?;
    ada.write("b/in b", "b")?;
    meet(&ada, &bob)?;
    fs::rename(ada.path("a"), ada.path("b/a"))?;
    fs::rename(bob.path("b"), bob.path("a/b"))?;
    let listing = meet(&ada, &bob)?;
    let first = listing.named(|name| name == "in a" || name == "in b");
    ensure!(first.len() == 2, "{:?}", listing.paths());
    ada.read("b/a/in a").context("the server's order decides")?;
    Ok(())
}
