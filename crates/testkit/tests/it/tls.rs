//! A server whose certificate no authority vouches for.

use std::fmt::Write;
use std::fs;

use anyhow::{Result, ensure};
use cairn_client::progress::Progress;
use cairn_client::remote::Remote;
use cairn_client::remote::http::{HttpRemote, Trust};
use cairn_testkit::proxy::Proxy;
use cairn_testkit::world::{EMAIL, PASSWORD, World};
use sha2::{Digest, Sha256};

/// A world whose server has a certificate of its own, and the certificate's fingerprint.
fn with_certificate() -> Result<(World, String)> {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    let mut fingerprint = String::new();
    for byte in Sha256::digest(made.cert.der()) {
        write!(fingerprint, "{byte:02x}")?;
    }
    let files = tempfile::tempdir()?;
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    fs::write(&cert, made.cert.pem())?;
    fs::write(&key, made.signing_key.serialize_pem())?;
    let options = [
        cert.to_string_lossy().into_owned(),
        key.to_string_lossy().into_owned(),
    ];
    let world = World::with_server(&std::env::temp_dir(), |_, server| {
        server.with_options(&["--tls-cert", &options[0], "--tls-key", &options[1]])
    })?;
    // The server has read them; a restart would need them.
    Ok((world, fingerprint))
}

#[test]
fn no_password_goes_to_a_certificate_that_nobody_confirmed() -> Result<()> {
    let (world, fingerprint) = with_certificate()?;
    let url = world.server.url();
    ensure!(url.starts_with("https://"), "{url}");
    let ada = world.stranger("ada")?;
    let told = ada
        .login(url, EMAIL, PASSWORD, &[])?
        .refuses(5, &["--fingerprint"])?;
    ensure!(
        told.stderr.to_lowercase().replace(':', "").contains(&fingerprint),
        "{fingerprint}: {told}"
    );
    let wrong = "0".repeat(64);
    ada.login(url, EMAIL, PASSWORD, &["--fingerprint", &wrong])?
        .refuses(5, &["fingerprint"])?;
    ada.run(&["whoami"])?.exits(3)?;
    ada.login(url, EMAIL, PASSWORD, &["--fingerprint", &fingerprint])?
        .success()?;
    ada.write("secret", "over TLS")?;
    ada.sync_once()?;
    assert_eq!(ada.cat("/secret")?, b"over TLS");
    Ok(())
}

#[test]
fn a_device_that_pinned_a_certificate_takes_no_other() -> Result<()> {
    let (world, fingerprint) = with_certificate()?;
    let (other, _) = with_certificate()?;
    let ada = world.stranger("ada")?;
    ada.login(
        world.server.url(),
        EMAIL,
        PASSWORD,
        &["--fingerprint", &fingerprint],
    )?
    .success()?;
    let profile = ada.home().join("profile.json");
    let text = fs::read_to_string(&profile)?.replace(world.server.url(), other.server.url());
    fs::write(&profile, text)?;
    ada.write("file", "for the first server only")?;
    ada.run(&["ls"])?.refuses(5, &["certificate"])?;
    ada.try_sync_once(cairn_testkit::device::PATIENCE)?
        .refuses(5, &["certificate"])?;
    Ok(())
}

/// A table of headers would spare the later requests most of a token, and tell by its size what it holds (RFC 7541, 7.1).
#[test]
fn a_token_stands_in_no_table_of_headers() -> Result<()> {
    const REQUESTS: u64 = 20;
    let (world, fingerprint) = with_certificate()?;
    let proxy = Proxy::start(world.server.address()?)?;
    let url = proxy.url().replace("http://", "https://");
    let runtime = tokio::runtime::Runtime::new()?;
    // Bytes that requests take behind the first one of a connection, with a token of so many digits that nobody has.
    let cost = |digits: usize| -> Result<u64> {
        let token = format!("cairn_{}", "7c".repeat(digits / 2));
        let trust = Trust::Pinned(fingerprint.parse()?);
        let remote = HttpRemote::new(&url, &token, trust, Progress::new())?;
        runtime.block_on(async {
            ensure!(remote.whoami().await.is_err());
            let before = proxy.traffic().up_bytes;
            for _ in 0..REQUESTS {
                ensure!(remote.whoami().await.is_err());
            }
            Ok(proxy.traffic().up_bytes - before)
        })
    };
    let (short, long) = (cost(64)?, cost(640)?);
    // Digits take five or six bits on the way.
    let longer = (640 - 64) * 5 / 8;
    ensure!(long - short >= REQUESTS * longer, "{short} and {long} bytes");
    Ok(())
}
