//! `cairn up`: the whole thing on one machine.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cairn_testkit::deadline::{Observed, Stopwatch, eventually};
use cairn_testkit::device::{Device, PATIENCE};
use cairn_testkit::process::Process;
use cairn_testkit::server::url_in;

fn up(device: &Device) -> Result<(Process, String)> {
    let data = device
        .home()
        .with_file_name("data")
        .to_string_lossy()
        .into_owned();
    let folder = device.folder().to_string_lossy().into_owned();
    let mut process = device.spawn(&[
        "up",
        "--data",
        &data,
        "--folder",
        &folder,
        "--listen",
        "127.0.0.1:0",
    ])?;
    let url = process.output_has(PATIENCE, "its address", url_in)?;
    process.output_has(PATIENCE, "the folder", |line| {
        line.contains(&folder).then_some(())
    })?;
    process.output_has(PATIENCE, "the account", |line| {
        line.contains("Account").then_some(())
    })?;
    Ok((process, url))
}

/// Waits until the server has a file, and tells how long that took.
fn is_on_server(device: &Device, name: &str) -> Result<Duration> {
    let since = Stopwatch::start();
    eventually(PATIENCE, &format!("{name} is on the server"), || {
        let told = device.run(&["ls"])?;
        Ok(Observed::when(told.text().contains(name), || told.to_string()))
    })?;
    Ok(since.elapsed())
}

#[test]
fn one_command_starts_everything_and_ctrl_c_ends_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let device = Device::new(&dir.path().join("device"), "laptop")?;
    let (process, _) = up(&device)?;
    let password = process
        .output()
        .lines()
        .find_map(|line| line.trim().strip_prefix("Password").map(str::to_owned));
    ensure!(
        password.is_some(),
        "the first account's password is shown:\n{}",
        process.output()
    );
    device.write("first.txt", "saved")?;
    let took = is_on_server(&device, "first.txt")?;
    ensure!(took < Duration::from_secs(10), "it took {took:?}");
    assert_eq!(device.cat("/first.txt")?, b"saved");
    process.interrupt(PATIENCE)?.success()?;

    device.write("second.txt", "while it was down")?;
    let (process, url) = up(&device)?;
    is_on_server(&device, "second.txt")?;
    assert_eq!(device.cat("/first.txt")?, b"saved");
    ensure!(url.starts_with("http://127.0.0.1:"), "{url}");
    ensure!(!process.output().contains("Password"), "a password is shown once");
    process.interrupt(PATIENCE)?.success()?;
    Ok(())
}

#[test]
fn a_second_device_links_to_it() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let laptop = Device::new(&dir.path().join("laptop"), "laptop")?;
    let phone = Device::new(&dir.path().join("phone"), "phone")?;
    let (process, url) = up(&laptop)?;
    let output = process.output();
    let field = |name: &str| -> Result<String> {
        let line = output.lines().find_map(|line| line.trim().strip_prefix(name));
        let word = line.and_then(|line| line.split_whitespace().next());
        Ok(word
            .with_context(|| format!("there is no {name} in\n{output}"))?
            .to_owned())
    };
    phone
        .login(&url, &field("Account")?, &field("Password")?, &[])?
        .success()?;
    laptop.write("from the laptop", "hello")?;
    is_on_server(&phone, "from the laptop")?;
    phone.sync_once()?;
    assert_eq!(phone.read("from the laptop")?, b"hello");
    phone.write("from the phone", "hello back")?;
    phone.sync_once()?;
    eventually(PATIENCE, "the phone's file on the laptop", || {
        Ok(Observed::when(laptop.path("from the phone").exists(), || {
            format!("{:?}", laptop.listing())
        }))
    })?;
    process.interrupt(PATIENCE)?.success()?;
    Ok(())
}

#[test]
fn it_comes_back_after_a_kill() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let device = Device::new(&dir.path().join("device"), "laptop")?;
    let (process, _) = up(&device)?;
    device.write("before", "1")?;
    is_on_server(&device, "before")?;
    device.write("during", "2")?;
    process.kill()?;
    let (process, _) = up(&device)?;
    is_on_server(&device, "during")?;
    process.interrupt(PATIENCE)?.success()?;
    assert_eq!(fs::read(device.path("before"))?, b"1");
    Ok(())
}
