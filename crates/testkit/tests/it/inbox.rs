//! The inbox of conflicts, and the limits of speed.

use std::fs;

use anyhow::{Context, Result, ensure};
use cairn_testkit::deadline::{Observed, eventually};
use cairn_testkit::device::{Device, PATIENCE};
use cairn_testkit::random::Random;
use cairn_testkit::tree::assert_same;
use cairn_testkit::world::World;
use serde_json::Value;

const BASE: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";

/// Two devices that edited `notes/plan.txt` before they saw each other; Ada's version has the name, Bob's is the copy.
fn conflicting(adas: &str, bobs: &str) -> Result<(World, Device, Device)> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("notes/plan.txt", BASE)?;
    ada.sync_once()?;
    bob.sync_once()?;
    ada.write("notes/plan.txt", adas)?;
    bob.write("notes/plan.txt", bobs)?;
    for device in [&ada, &bob, &ada] {
        device.sync_once()?;
    }
    assert_same(&ada, &bob)?;
    Ok((world, ada, bob))
}

fn json(device: &Device, arguments: &[&str]) -> Result<Value> {
    let finished = device.run(&[arguments, &["--json"]].concat())?;
    ensure!(finished.code == Some(0), "{arguments:?}: {}", finished.stderr);
    Ok(serde_json::from_slice(&finished.stdout)?)
}

fn listed(device: &Device) -> Result<Vec<Value>> {
    let found = json(device, &["conflicts"])?;
    Ok(found["conflicts"].as_array().context("a list")?.clone())
}

/// The one conflict.
fn only(device: &Device) -> Result<Value> {
    let all = listed(device)?;
    let [one] = all.as_slice() else {
        anyhow::bail!("one conflict was expected: {all:?}")
    };
    Ok(one.clone())
}

fn meet(ada: &Device, bob: &Device) -> Result<()> {
    for device in [bob, ada, bob] {
        device.sync_once()?;
    }
    assert_same(ada, bob)?;
    Ok(())
}

#[test]
fn a_clean_conflict_is_listed_shown_and_merged() -> Result<()> {
    let adas = BASE.replace("one", "ONE");
    let bobs = BASE.replace("seven", "SEVEN");
    let (_world, ada, bob) = conflicting(&adas, &bobs)?;
    let conflict = only(&bob)?;
    ensure!(conflict["merge"] == "clean", "{conflict}");
    ensure!(
        conflict["reason"] == "edit-edit" && conflict["is_made_here"] == true,
        "{conflict}"
    );
    let elsewhere = only(&ada)?;
    ensure!(
        elsewhere["is_made_here"] == false && elsewhere["device"] == "bob",
        "{elsewhere}"
    );
    ensure!(elsewhere["original"]["path"] == "notes/plan.txt", "{elsewhere}");

    let shown = json(&bob, &["conflicts", "show", "notes/plan.txt"])?;
    let diff = shown["diff"].as_str().context("a diff")?;
    ensure!(diff.contains("-ONE") && diff.contains("+SEVEN"), "{diff}");

    json(
        &bob,
        &["conflicts", "resolve", "notes/plan.txt", "--keep", "merged"],
    )?;
    let merged = adas.replace("seven", "SEVEN");
    assert_eq!(bob.read("notes/plan.txt")?, merged.as_bytes());
    ensure!(listed(&bob)?.is_empty());
    meet(&ada, &bob)?;
    assert_eq!(ada.read("notes/plan.txt")?, merged.as_bytes());
    ensure!(listed(&ada)?.is_empty());
    Ok(())
}

#[test]
fn what_overlaps_is_not_merged_and_markers_are_asked_for() -> Result<()> {
    let (_world, _ada, bob) = conflicting(&BASE.replace("two", "2"), &BASE.replace("two", "zwei"))?;
    ensure!(only(&bob)?["merge"] == "overlapping");
    let resolve = ["conflicts", "resolve", "notes/plan.txt", "--keep", "merged"];
    let refused = bob.run(&resolve)?;
    ensure!(refused.code == Some(5), "{}", refused.stderr);
    ensure!(only(&bob).is_ok(), "it stays");
    let marked = json(&bob, &[&resolve[..], &["--markers"]].concat())?;
    assert_eq!(marked["path"], "notes/plan (to merge).txt");
    let text = String::from_utf8(bob.read("notes/plan (to merge).txt")?)?;
    ensure!(text.contains("<<<<<<<") && text.contains("zwei"), "{text}");
    ensure!(only(&bob).is_ok(), "it stays until it is resolved");
    Ok(())
}

#[test]
fn mine_theirs_and_both_do_what_they_say() -> Result<()> {
    for keep in ["mine", "theirs", "both"] {
        let (_world, ada, bob) = conflicting("ada's\n", "bob's\n")?;
        let copy = only(&bob)?["copy"]["path"].as_str().context("a path")?.to_owned();
        json(&bob, &["conflicts", "resolve", &copy, "--keep", keep])?;
        let stands = if keep == "mine" { "bob's\n" } else { "ada's\n" };
        assert_eq!(bob.read("notes/plan.txt")?, stands.as_bytes(), "{keep}");
        ensure!(!bob.path(&copy).exists(), "{keep}");
        if keep == "both" {
            assert_eq!(bob.read("notes/plan (2).txt")?, b"bob's\n");
        }
        meet(&ada, &bob)?;
        assert_eq!(ada.read("notes/plan.txt")?, stands.as_bytes(), "{keep}");
        ensure!(listed(&ada)?.is_empty() && listed(&bob)?.is_empty(), "{keep}");
    }
    Ok(())
}

#[test]
fn an_entry_leaves_the_inbox_when_its_copy_does() -> Result<()> {
    let (_world, _ada, bob) = conflicting("ada's\n", "bob's\n")?;
    let copy = only(&bob)?["copy"]["path"].as_str().context("a path")?.to_owned();
    fs::rename(bob.path(&copy), bob.path("notes/mine.txt"))?;
    bob.sync_once()?;
    ensure!(listed(&bob)?.is_empty());
    Ok(())
}

#[test]
fn a_device_merges_by_itself_when_it_was_told_to() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    ada.write("plan.txt", BASE)?;
    ada.sync_once()?;
    bob.sync_once()?;
    ensure!(json(&bob, &["conflicts", "auto", "on"])?["auto_merge"] == true);
    let adas = BASE.replace("one", "ONE");
    ada.write("plan.txt", &adas)?;
    bob.write("plan.txt", BASE.replace("seven", "SEVEN"))?;
    for device in [&ada, &bob, &ada, &bob] {
        device.sync_once()?;
    }
    let listing = assert_same(&ada, &bob)?;
    assert_eq!(listing.paths(), ["plan.txt"]);
    assert_eq!(ada.read("plan.txt")?, adas.replace("seven", "SEVEN").as_bytes());
    Ok(())
}

#[test]
fn many_devices_make_one_copy_each_and_none_of_equal_content() -> Result<()> {
    let world = World::new()?;
    let names = ["ada", "bob", "cy"];
    let devices = names
        .into_iter()
        .map(|name| world.device(name))
        .collect::<Result<Vec<_>>>()?;
    devices[0].write("plan.txt", "base")?;
    for device in &devices {
        device.sync_once()?;
    }
    for (device, name) in devices.iter().zip(names) {
        device.write("plan.txt", format!("{name}'s"))?;
        device.write("same.txt", "one mind")?;
    }
    for _ in 0..3 {
        for device in &devices {
            device.sync_once()?;
        }
    }
    let listing = assert_same(&devices[0], &devices[1])?;
    assert_same(&devices[1], &devices[2])?;
    let copies = listing.named(|name| name.contains("conflict"));
    ensure!(copies.len() == 2, "{copies:?}");
    ensure!(
        copies.iter().all(|copy| !copy.to_string_lossy().contains("same")),
        "{copies:?}"
    );
    Ok(())
}

#[test]
fn limits_are_kept_across_commands() -> Result<()> {
    let world = World::new()?;
    let ada = world.device("ada")?;
    ada.sync_once()?;
    let set = json(&ada, &["limit", "--up", "2M", "--down", "500K"])?;
    assert_eq!((&set["up"], &set["down"]), (&2_097_152.into(), &512_000.into()));
    ensure!(json(&ada, &["limit"])? == set);
    let refused = ada.run(&["limit", "--up", "1K"])?;
    ensure!(refused.code == Some(2), "{}", refused.stderr);
    let off = json(&ada, &["limit", "--off"])?;
    ensure!(off["up"].is_null() && off["down"].is_null(), "{off}");
    Ok(())
}

#[test]
fn a_running_daemon_resolves() -> Result<()> {
    let adas = BASE.replace("one", "ONE");
    let (_world, ada, bob) = conflicting(&adas, &BASE.replace("seven", "SEVEN"))?;
    let _daemon = bob.start()?;
    bob.run(&["wait", "--timeout", "30"])?.success()?;
    let copy = only(&bob)?["copy"]["path"].as_str().context("a path")?.to_owned();
    json(
        &bob,
        &["conflicts", "resolve", "notes/plan.txt", "--keep", "merged"],
    )?;
    bob.run(&["wait", "--timeout", "30"])?.success()?;
    let merged = adas.replace("seven", "SEVEN");
    assert_eq!(bob.read("notes/plan.txt")?, merged.as_bytes());
    ensure!(!bob.path(&copy).exists() && listed(&bob)?.is_empty());
    ada.sync_once()?;
    assert_eq!(ada.read("notes/plan.txt")?, merged.as_bytes());
    assert_same(&ada, &bob)?;
    let gone = bob.run(&["conflicts", "resolve", &copy, "--keep", "mine"])?;
    ensure!(gone.code == Some(5), "{gone}");
    Ok(())
}

#[test]
fn a_running_daemon_keeps_to_a_limit_until_it_is_lifted() -> Result<()> {
    let world = World::new()?;
    let (ada, bob) = (world.device("ada")?, world.device("bob")?);
    let daemon = ada.start()?;
    ada.run(&["wait", "--timeout", "30"])?.success()?;
    let set = json(&ada, &["limit", "--up", "10K"])?;
    assert_eq!(set["up"], 10_240);
    // At that rate it takes three minutes.
    ada.write("large", Random::new(1).bytes(2_000_000))?;
    ada.run(&["wait", "--timeout", "4"])?.exits(1)?;
    ensure!(ada.status()?["limits"]["up"] == 10_240, "{}", ada.status()?);
    json(&ada, &["limit", "--off"])?;
    ada.run(&["wait", "--timeout", "50"])?.success()?;
    bob.sync_once()?;
    assert_same(&ada, &bob)?;
    // It outlasts the daemon to which it was told.
    json(&ada, &["limit", "--down", "1M"])?;
    ada.run(&["stop"])?.success()?;
    eventually(PATIENCE, "the daemon ends", || {
        Ok(Observed::when(!daemon.is_running(), || "it runs".to_owned()))
    })?;
    let _daemon = ada.start()?;
    assert_eq!(json(&ada, &["limit"])?["down"], 1_048_576);
    Ok(())
}
