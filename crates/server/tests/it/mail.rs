//! Letters, as a mail server on loopback gets them.

use std::io;
use std::sync::Arc;

use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cairn_server::service::accounts::invited::{NewInvitation, invite};
use cairn_server::{Letter, MailConfig, MailEncryption, MailError};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::browser::{encoded, text};
use crate::support::{DEADLINE, PASSWORD, World, soon};

const ADA: &str = "ada@example.org";
const USER: &str = "cairn";
const SMTP_PASSWORD: &str = "a secret of the mail server";

/// What a mail server was told: its commands, and letters whole.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Command(String),
    Letter(String),
    End,
}

/// A mail server that takes every letter, or refuses every address.
struct MailServer {
    port: u16,
    heard: mpsc::UnboundedReceiver<Heard>,
}

impl MailServer {
    async fn start(tls: Option<TlsAcceptor>, refuses: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, heard) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mut session = Session {
                    heard: sender.clone(),
                    refuses,
                };
                let mut stream = BufStream::new(socket);
                let upgrades = session
                    .talk(&mut stream, true, tls.is_some())
                    .await
                    .unwrap_or(false);
                if let (true, Some(tls)) = (upgrades, &tls)
                    && let Ok(stream) = tls.accept(stream.into_inner()).await
                {
                    let _ = session.talk(&mut BufStream::new(stream), false, false).await;
                }
                let _ = sender.send(Heard::End);
            }
        });
        Self { port, heard }
    }

    fn config(&self) -> MailConfig {
        MailConfig {
            server: "localhost".to_owned(),
            port: self.port,
            encryption: MailEncryption::None,
            credentials: Some((USER.to_owned(), SMTP_PASSWORD.to_owned())),
            authority: None,
            from: "Cairn <cairn@example.org>".to_owned(),
            public_url: "https://cairn.example".to_owned(),
        }
    }

    /// All of one connection: its commands and its letter.
    async fn connection(&mut self) -> (Vec<String>, Option<String>) {
        let (mut commands, mut letter) = (Vec::new(), None);
        loop {
            match soon(self.heard.recv()).await.unwrap() {
                Heard::Command(command) => commands.push(command),
                Heard::Letter(text) => letter = Some(text),
                Heard::End => return (commands, letter),
            }
        }
    }
}

struct Session {
    heard: mpsc::UnboundedSender<Heard>,
    refuses: bool,
}

impl Session {
    /// Talks until the client goes, or wants TLS.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufStream<S>,
        greets: bool,
        offers_tls: bool,
    ) -> io::Result<bool> {
        if greets {
            say(stream, "220 mail.example.org ESMTP").await?;
        }
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(false);
            }
            let command = line.trim_end().to_owned();
            let _ = self.heard.send(Heard::Command(command.clone()));
            let verb = command.split(' ').next().unwrap_or_default();
            match verb {
                "EHLO" if offers_tls => say(stream, "250-mail.example.org\r\n250 STARTTLS").await?,
                "EHLO" => say(stream, "250-mail.example.org\r\n250 AUTH PLAIN").await?,
                "AUTH" => say(stream, "235 welcome").await?,
                "RCPT" if self.refuses => say(stream, "550 nobody here is called ada@example.org").await?,
                "DATA" => {
                    say(stream, "354 go on").await?;
                    let mut letter = String::new();
                    while !letter.ends_with("\r\n.\r\n") {
                        if stream.read_line(&mut letter).await? == 0 {
                            return Ok(false);
                        }
                    }
                    let _ = self.heard.send(Heard::Letter(letter));
                    say(stream, "250 taken").await?;
                }
                "STARTTLS" => {
                    say(stream, "220 go on").await?;
                    return Ok(true);
                }
                "QUIT" => {
                    say(stream, "221 bye").await?;
                    return Ok(false);
                }
                _ => say(stream, "250 fine").await?,
            }
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufStream<S>, line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

/// The path of the link in a letter.
fn link(letter: &str) -> &str {
    let at = letter.find("https://cairn.example/").unwrap();
    letter[at..]
        .trim_start_matches("https://cairn.example")
        .lines()
        .next()
        .unwrap()
}

impl World {
    async fn asks(&self, email: &str) -> u16 {
        let request = Request::post("/reset").header("host", "evil.example");
        let raw = self
            .send(request.body(encoded(&[("email", email)]).into()).unwrap())
            .await;
        raw.status.as_u16()
    }
}

#[tokio::test]
async fn a_letter_is_sent() {
    let world = World::new();
    let mut mail = MailServer::start(None, false).await;
    let new = NewInvitation {
        email: Some(ADA.to_owned()),
        quota_bytes: None,
        lifetime: DEADLINE,
    };
    let path = invite(world.metadata.as_ref(), &world.runtime, new)
        .await
        .unwrap();
    let letter = Letter::Invitation {
        path: path.clone(),
        days: 7,
    };
    assert!(
        !world.server.send(ADA, &letter).await.unwrap(),
        "no mail is configured"
    );
    world.server.use_mail(&mail.config()).unwrap();
    assert!(world.server.send(ADA, &letter).await.unwrap());
    let (commands, letter) = mail.connection().await;
    let proof = STANDARD.encode(format!("\0{USER}\0{SMTP_PASSWORD}"));
    assert!(commands.contains(&format!("AUTH PLAIN {proof}")), "{commands:?}");
    assert!(commands.contains(&format!("RCPT TO:<{ADA}>")), "{commands:?}");
    let letter = letter.unwrap();
    for part in [
        "From: Cairn <cairn@example.org>\r\n",
        "To: ada@example.org\r\n",
        "Subject: An account on cairn.example\r\n",
        "Date: Sun, 22 Nov 2026 00:00:00 +0000\r\n",
        "@cairn.example>\r\n",
        "for 7 days",
    ] {
        assert!(letter.contains(part), "{part}: {letter}");
    }
    assert_eq!(link(&letter), path);
}

#[tokio::test]
async fn a_forgotten_password_is_mailed_a_link() {
    let world = World::new();
    world.account(ADA).await;
    assert_eq!(world.asks(ADA).await, 403, "no mail is configured");
    let mut mail = MailServer::start(None, false).await;
    world.server.use_mail(&mail.config()).unwrap();
    let page = world
        .send(Request::get("/reset").body(String::new().into()).unwrap())
        .await;
    assert!(text(&page).contains("Mail me a link"));
    assert_eq!(world.asks("no address").await, 400);
    // Nobody is told who has an account.
    assert_eq!(world.asks("nobody@example.org").await, 200);
    assert_eq!(world.asks(ADA).await, 200);
    let (commands, letter) = mail.connection().await;
    assert!(
        commands.contains(&format!("RCPT TO:<{ADA}>")),
        "the first letter is hers: {commands:?}"
    );
    let letter = letter.unwrap();
    assert!(!letter.contains("evil.example"));
    let form = encoded(&[("password", "another password")]);
    let used = Request::post(link(&letter)).body(form.into()).unwrap();
    assert_eq!(world.send(used).await.status, 200);
    let login = crate::support::login(ADA, PASSWORD);
    let raw = world.post(cairn_api::sync::path::LOGIN, None, &login).await;
    assert!(!raw.status.is_success(), "the old password is void");
}

#[tokio::test]
async fn a_mailbox_is_not_filled() {
    let world = World::new();
    world.account(ADA).await;
    world.account("bob@example.org").await;
    let mut mail = MailServer::start(None, false).await;
    world.server.use_mail(&mail.config()).unwrap();
    for _ in 0..3 {
        assert_eq!(world.asks(ADA).await, 200);
        mail.connection().await;
    }
    assert_eq!(world.asks(ADA).await, 200, "the answer is the same");
    assert_eq!(world.asks("bob@example.org").await, 200);
    let (commands, _) = mail.connection().await;
    assert!(
        commands.contains(&"RCPT TO:<bob@example.org>".to_owned()),
        "{commands:?}"
    );
}

#[tokio::test]
async fn a_mail_server_without_tls_gets_nothing() {
    let world = World::new();
    let mut mail = MailServer::start(None, false).await;
    let config = MailConfig {
        encryption: MailEncryption::StartTls,
        ..mail.config()
    };
    world.server.use_mail(&config).unwrap();
    let path = "/reset?link=secret".to_owned();
    let sent = world.server.send(ADA, &Letter::Reset { path }).await;
    assert!(matches!(sent, Err(MailError::Unreachable { .. })), "{sent:?}");
    let (commands, letter) = mail.connection().await;
    assert_eq!(letter, None);
    let harmless =
        |command: &String| command.starts_with("EHLO") || ["QUIT", "STARTTLS"].contains(&command.as_str());
    assert!(commands.iter().all(harmless), "{commands:?}");
}

#[tokio::test]
async fn a_letter_goes_over_tls_that_is_checked() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let mut mail = MailServer::start(Some(TlsAcceptor::from(Arc::new(tls))), false).await;
    for (authority, arrives) in [(None, false), (Some(certified.cert.pem().into_bytes()), true)] {
        let world = World::new();
        let config = MailConfig {
            encryption: MailEncryption::StartTls,
            authority,
            ..mail.config()
        };
        world.server.use_mail(&config).unwrap();
        let path = "/reset?link=secret".to_owned();
        let sent = world.server.send(ADA, &Letter::Reset { path }).await;
        assert_eq!(sent.is_ok(), arrives, "{sent:?}");
        let (commands, letter) = mail.connection().await;
        assert_eq!(letter.is_some(), arrives, "{commands:?}");
        assert_eq!(commands[1], "STARTTLS");
    }
}

#[tokio::test]
async fn a_letter_that_is_refused_is_told_without_the_servers_words() {
    let world = World::new();
    let mail = MailServer::start(None, true).await;
    world.server.use_mail(&mail.config()).unwrap();
    let path = "/reset?link=secret".to_owned();
    let error = world.server.send(ADA, &Letter::Reset { path }).await.unwrap_err();
    assert_eq!(error.to_string(), "the mail server refused the letter (code 550)");
}
