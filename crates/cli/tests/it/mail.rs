//! Links that the operator has made, as a mail server on loopback gets them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use crate::support::World;

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(60);

const SMTP_PASSWORD: &str = "a secret of the mail server";

/// A server that runs until the test is over.
struct Serving(Child);

impl Serving {
    fn start(world: &World, config: &str) -> Self {
        let path = world.path().join("server.toml");
        fs::write(&path, config).expect("a configuration");
        let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&path)
            .arg("--data")
            .arg(world.path().join("data"))
            .env("CAIRN_HOME", world.path().join("home"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .env("CAIRN_LOG", "trace")
            .stderr(fs::File::create(world.path().join("log")).expect("a log"))
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert!(line.starts_with("Serving"), "{line}");
        Self(child)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Takes one letter, and then no more.
fn take_one(listener: TcpListener) -> Receiver<String> {
    let (sender, letters) = mpsc::channel();
    std::thread::spawn(move || {
        let (socket, _) = listener.accept().expect("a connection");
        drop(listener);
        let _ = sender.send(talk(&socket).unwrap_or_default());
    });
    letters
}

fn talk(mut socket: &TcpStream) -> std::io::Result<String> {
    let mut lines = BufReader::new(socket.try_clone()?);
    let (mut line, mut letter) = (String::new(), String::new());
    socket.write_all(b"220 mail\r\n")?;
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 || line.starts_with("QUIT") {
            return Ok(letter);
        }
        if line.starts_with("EHLO") {
            socket.write_all(b"250-mail\r\n250 AUTH PLAIN\r\n")?;
            continue;
        }
        if line.starts_with("AUTH") {
            socket.write_all(b"235 welcome\r\n")?;
            continue;
        }
        if line.starts_with("DATA") {
            socket.write_all(b"354 go on\r\n")?;
            while !letter.ends_with("\r\n.\r\n") && lines.read_line(&mut letter)? > 0 {}
        }
        socket.write_all(b"250 fine\r\n")?;
    }
}

#[test]
fn links_are_mailed_and_never_logged_and_printed_when_that_fails() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let letters = take_one(listener);
    let password_file = world.path().join("mail-password");
    fs::write(&password_file, format!("{SMTP_PASSWORD}\n")).expect("a password");
    let _serving = Serving::start(
        &world,
        &format!(
            "[mail]\nserver = \"127.0.0.1\"\nport = {port}\nencryption = \"none\"\n\
             user = \"cairn\"\npassword_file = {password_file:?}\n\
             from = \"cairn@example.org\"\npublic_url = \"https://cairn.example\"\n"
        ),
    );
    let data = world.path().join("data");
    let invite = |email: &str| {
        let data = data.to_string_lossy().into_owned();
        world.run(&["admin", "invite", email, "--data", &data])
    };
    let said = invite("ada@example.org");
    assert!(said.starts_with("exit 0\nThe link was mailed"), "{said}");
    assert!(!said.contains("/join"), "{said}");
    let letter = letters.recv_timeout(DEADLINE).expect("a letter");
    assert!(letter.contains("To: ada@example.org\r\n"), "{letter}");
    assert!(
        letter.contains("\r\nhttps://cairn.example/join?link=cairn_"),
        "{letter}"
    );
    let (_, secret) = letter.split_once("link=cairn_").expect("a link");
    let log = fs::read_to_string(world.path().join("log")).expect("the log");
    assert!(log.contains("a letter was sent"), "{log}");
    for part in [&secret[..20], "ada@", SMTP_PASSWORD] {
        assert!(!log.contains(part), "{part} is in the log: {log}");
    }
    // The mail server is gone.
    let said = invite("bob@example.org");
    assert!(said.starts_with("exit 0\n/join?link=cairn_"), "{said}");
    assert!(
        said.contains("the link was not mailed: the mail server cannot be reached"),
        "{said}"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused_at_the_start() {
    let world = World::new();
    let config = world.path().join("server.toml");
    let text = "[mail]\nserver = \"mail.example.org\"\nencryption = \"none\"\n\
                from = \"cairn@example.org\"\npublic_url = \"https://cairn.example\"\n";
    for (text, named) in [
        ("[mail]\nport = 25\n", "[mail] has no server"),
        ("[mail]\nserver = \"localhost\"\n", "[mail] has no from"),
        (text, "on this machine alone"),
    ] {
        fs::write(&config, text).expect("a configuration");
        let (config, data) = (config.to_string_lossy(), world.path().join("data"));
        let listen = ["--listen", "127.0.0.1:0"];
        let said = world.run(&[
            "serve",
            "--config",
            &config,
            "--data",
            &data.to_string_lossy(),
            listen[0],
            listen[1],
        ]);
        assert!(said.starts_with("exit 2\n") && said.contains(named), "{said}");
    }
}
