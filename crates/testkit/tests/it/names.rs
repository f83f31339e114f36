//! Names in any script, of any shape, and names that some file systems cannot tell apart.

use std::fs;

use anyhow::Result;
use cairn_testkit::deadline::{Observed, eventually};
use cairn_testkit::device::Device;
use cairn_testkit::tree::{assert_same, awkward_names};
use cairn_testkit::world::World;

/// Pairs with one key: by case, by normalisation, by both.
const PAIRS: &[(&str, &str)] = &[
    ("readme.txt", "README.TXT"),
    ("\u{e9}t\u{e9}", "e\u{301}te\u{301}"),
    ("\u{c9}cole", "e\u{301}cole"),
    ("\u{3a9}mega", "\u{2126}mega"),
];

#[test]
fn a_thousand_awkward_names_arrive() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    for (index, name) in awkward_names(1_000).into_iter().enumerate() {
        let folder = format!("folder {}", index % 7);
        if index % 25 == 0 {
            fs::create_dir_all(ada.path(folder).join(name))?;
        } else {
            ada.write(format!("{folder}/{name}"), format!("content of {index}"))?;
        }
    }
    let before = ada.listing()?;
    ada.sync_once()?;
    bob.sync_once()?;
    before.same_as(&assert_same(&ada, &bob)?)
}

fn contents(device: &Device, folder: &str) -> Result<Vec<String>> {
    let mut contents = Vec::new();
    for entry in fs::read_dir(device.path(folder))? {
        contents.push(fs::read_to_string(entry?.path())?);
    }
    contents.sort();
    Ok(contents)
}

/// Syncs both until nothing moves any more, and expects both contents of each pair on both.
fn both_are_there(ada: &Device, bob: &Device) -> Result<()> {
    for device in [ada, bob, ada, bob] {
        device.sync_once()?;
    }
    for index in 0..PAIRS.len() {
        let folder = format!("pair {index}");
        for device in [ada, bob] {
            assert_eq!(
                contents(device, &folder)?,
                ["first", "second"],
                "{folder} of {}",
                device.name()
            );
        }
    }
    Ok(())
}

#[test]
fn names_that_differ_in_case_or_normalisation_both_stay() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    for (index, (first, second)) in PAIRS.iter().enumerate() {
        ada.write(format!("pair {index}/{first}"), "first")?;
        ada.write(format!("pair {index}/{second}"), "second")?;
    }
    let before = ada.listing()?;
    both_are_there(&ada, &bob)?;
    // What the user sees on the device where it was made does not change.
    before.same_as(&ada.listing()?)
}

#[test]
fn such_names_made_on_two_devices_both_stay() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    for (index, (first, second)) in PAIRS.iter().enumerate() {
        ada.write(format!("pair {index}/{first}"), "first")?;
        bob.write(format!("pair {index}/{second}"), "second")?;
    }
    both_are_there(&ada, &bob)
}

#[test]
fn a_rename_of_case_alone_arrives() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("report.txt", "text")?;
    ada.sync_once()?;
    bob.sync_once()?;
    fs::rename(ada.path("report.txt"), ada.path("Report.txt"))?;
    ada.sync_once()?;
    eventually(
        cairn_testkit::device::PATIENCE,
        "the new case on the other device",
        || {
            bob.sync_once()?;
            let paths = bob.listing()?.paths();
            Ok(Observed::when(paths == ["Report.txt"], || format!("{paths:?}")))
        },
    )?;
    assert_same(&ada, &bob)?;
    Ok(())
}
