//! Every way to fail that needs no server.

use expect_test::{Expect, expect};

use crate::support::World;

fn check(world: &World, command: &str, expected: Expect) {
    let arguments: Vec<_> = command.split(' ').collect();
    expected.assert_eq(&world.run(&arguments));
}

#[test]
fn a_device_that_is_not_linked_says_so() {
    let world = World::new();
    let expected = "exit 3\ncairn: this device is not linked to a server; run \"cairn login URL --email YOU\", or \
        \"cairn up\" to begin with a server of your own\n";
    for command in [
        "whoami",
        "devices",
        "logout",
        "sync folder",
        "sync folder --once",
        "start folder",
        "status",
        "status --json",
        "wait",
        "activity",
        "ls",
        "cat a",
        "get a",
        "put Cargo.toml a",
        "mkdir a",
        "mv a b",
        "cp a b",
        "rm a",
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        assert_eq!(world.run(&arguments), expected, "{command}");
    }
}

#[test]
fn a_daemon_that_does_not_run_is_told_from_a_missing_link() {
    let world = World::new();
    world.link("http://127.0.0.1:9");
    for command in ["status", "wait", "activity", "stop", "pause", "resume"] {
        let expected = "exit 4\ncairn: no daemon is running for WORLD/home; begin with \"cairn start DIR\"\n";
        assert_eq!(world.run(&[command]), expected, "{command}");
    }
}

#[test]
fn a_server_that_is_not_there_is_a_matter_of_the_network() {
    let world = World::new();
    world.link("http://127.0.0.1:9");
    for command in ["whoami", "ls", "cat a", "rm a", "mkdir a"] {
        let arguments: Vec<_> = command.split(' ').collect();
        let text = world.run(&arguments);
        assert!(
            text.starts_with("exit 6\ncairn: cannot reach http://127.0.0.1:9: "),
            "{command}: {text}"
        );
        assert!(
            text.ends_with("; check that the server runs and that this machine is online\n"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}

#[test]
fn addresses_are_checked_before_anything_is_asked() {
    let world = World::new();
    check(
        &world,
        "login http://example.org --email ada@example.org",
        expect![[r#"
            exit 2
            cairn: http://example.org cannot be used as a server's address: http:// would send the password unprotected over the network; use https://
        "#]],
    );
    let text = world.run(&["login", "not a url", "--email", "a@b"]);
    assert!(
        text.starts_with("exit 2\ncairn: not a url cannot be used as a server's address"),
        "{text}"
    );
}

#[test]
fn a_wrong_command_line_is_usage() {
    let world = World::new();
    for command in [
        "",
        "fly",
        "ls --purple",
        "put a",
        "cat ..",
        "login",
        "serve --tls-cert a",
        "wait --timeout soon",
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        assert!(world.run(&arguments).starts_with("exit 2\n"), "{command}");
    }
}

#[test]
fn a_damaged_profile_is_named_and_not_shown() {
    let world = World::new();
    world.link("http://127.0.0.1:9");
    std::fs::write(world.path().join("home/profile.json"), "{\"token\": secret").unwrap();
    let text = world.run(&["whoami"]);
    assert!(
        text.starts_with("exit 1\ncairn: the profile WORLD/home/profile.json is damaged"),
        "{text}"
    );
    assert!(!text.contains("secret"));
}

#[test]
fn a_server_needs_a_folder_a_port_and_a_configuration_that_is_one() {
    let world = World::new();
    check(
        &world,
        "serve",
        expect![[r#"
            exit 2
            cairn: the data folder is not said; name it with --data DIR, or as "data" in the configuration
        "#]],
    );
    check(
        &world,
        "serve --config missing.toml",
        expect![[r#"
            exit 1
            cairn: cannot read the configuration missing.toml: No such file or directory (os error 2)
        "#]],
    );
    std::fs::write(world.path().join("wrong.toml"), "[limits]\nmax_conections = 5\n").unwrap();
    let text = world.run(&["serve", "--config", "wrong.toml"]);
    assert!(
        text.starts_with("exit 2\ncairn: the configuration wrong.toml is wrong: "),
        "{text}"
    );
    assert!(text.contains("unknown field `max_conections`"), "{text}");
    let text = world.run(&["serve", "--data", "data", "--listen", "256.0.0.1:1"]);
    assert!(
        text.starts_with("exit 1\ncairn: cannot listen on 256.0.0.1:1: "),
        "{text}"
    );
    assert!(text.ends_with("; name another address with --listen\n"), "{text}");
}

#[test]
fn accounts_are_administered_without_a_server() {
    let world = World::new();
    let data = ["--data", "data"];
    let run = |arguments: &str| {
        let arguments: Vec<_> = arguments.split(' ').chain(data).collect();
        world.run(&arguments)
    };
    expect![[r#"
        exit 1
        cairn: there is no data folder data; name it with --data; "cairn serve" and "cairn up" make one
    "#]]
    .assert_eq(&run("admin user list"));
    std::fs::create_dir(world.path().join("data")).unwrap();
    std::fs::write(world.path().join("password"), "correct horse\n").unwrap();
    std::fs::write(world.path().join("short"), "short\n").unwrap();
    let cases = [
        (
            "admin user add Ada@example.org --password-file password --admin",
            "exit 0\nThe account Ada@example.org was made.\n",
        ),
        (
            "admin user add ada@EXAMPLE.org --password-file password",
            "exit 5\ncairn: ada@EXAMPLE.org: an account with this address exists already\n",
        ),
        (
            "admin user add nobody --password-file password",
            "exit 5\ncairn: nobody: that is not an e-mail address\n",
        ),
        (
            "admin user add bob@example.org --password-file short",
            "exit 5\ncairn: bob@example.org: a password must have 8 to 1024 bytes\n",
        ),
        (
            "admin user add bob@example.org --password-file nowhere",
            "exit 1\ncairn: cannot read the password file nowhere: No such file or directory (os error 2)\n",
        ),
        (
            "admin user add bob@example.org",
            "exit 2\ncairn: there is no terminal to ask for the password on; use --password-file\n",
        ),
        (
            "admin user quota ada@example.org 10G",
            "exit 0\nThe account ada@example.org has another quota.\n",
        ),
        ("admin user disable ada@example.org --quiet", "exit 0\n"),
        (
            "admin user enable bob@example.org",
            "exit 5\ncairn: bob@example.org: an account with that address does not exist\n",
        ),
        (
            "admin user list",
            "exit 0\nada@example.org  0 B of 10 GiB  administrator  locked out\n",
        ),
    ];
    for (command, expected) in cases {
        assert_eq!(run(command), expected, "{command}");
    }
}

#[test]
fn doctor_names_what_is_wrong_first() {
    let world = World::new();
    check(
        &world,
        "doctor",
        expect![[r#"
            exit 3
            ok    home         WORLD/home is made when it is needed
            fail  profile      this device is not linked to a server; run "cairn login URL --email YOU", or "cairn up" to begin with a server of your own
            cairn: 1 of 2 checks failed
        "#]],
    );
    world.link("http://127.0.0.1:9");
    let text = world.run(&["doctor", "--json"]);
    assert!(text.starts_with("exit 6\n["), "{text}");
    assert!(
        text.contains(r#"{"check":"server","verdict":"fail","message":"cannot reach http://127.0.0.1:9"#),
        "{text}"
    );
}

#[test]
fn scripts_for_shells_and_the_manual_are_printed() {
    let world = World::new();
    for shell in ["bash", "fish", "zsh"] {
        let text = world.run(&["completions", shell]);
        assert!(text.starts_with("exit 0\n") && text.contains("cairn"), "{shell}");
    }
    assert!(world.run(&["man"]).contains(".TH cairn 1"));
}
