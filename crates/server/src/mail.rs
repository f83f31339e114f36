//! Mail by SMTP: links for who was invited, or has forgotten a password.

use std::time::{Duration, UNIX_EPOCH};

use cairn_core::runtime::Runtime;
use cairn_metadata::Email;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::sync::Semaphore;

use crate::state::State;

/// How long a letter may take; whoever waits for it is at a terminal.
const PATIENCE: Duration = Duration::from_secs(20);
/// Letters that are sent at once; others wait no longer than one takes.
const AT_ONCE: usize = 4;

/// How mail is sent.
#[derive(Clone)]
pub struct MailConfig {
    /// The mail server's name.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the way to it is kept private.
    pub encryption: MailEncryption,
    /// User and password, where it asks for them.
    pub credentials: Option<(String, String)>,
    /// A certificate, as PEM, that vouches for it beside those of the system.
    pub authority: Option<Vec<u8>>,
    /// Who letters are from, as `Cairn <cairn@example.org>`.
    pub from: String,
    /// This server's address as people reach it: links begin with it.
    pub public_url: String,
}

/// How the way to a mail server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailEncryption {
    /// TLS from the first byte.
    Tls,
    /// TLS before anything is said; without it nothing is sent.
    StartTls,
    /// None, to a mail server on this machine.
    None,
}

/// Why a letter was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The settings make no sense.
    #[error("mail cannot be sent as it is configured: {0}")]
    Settings(String),
    /// The mail server said no.
    #[error("the mail server refused the letter (code {code})")]
    Refused {
        /// Its code; its words may hold an address.
        code: String,
    },
    /// There is no such server, or it does not answer.
    #[error("the mail server cannot be reached: {what}")]
    Unreachable {
        /// What failed.
        what: String,
    },
}

/// What a letter is about, with the path of its link, which is as good as a password. Nothing prints it.
pub enum Letter {
    /// An invitation that is good for so many days.
    Invitation {
        /// As [`crate::service::accounts::invited::invite`] gives it.
        path: String,
        /// Days.
        days: u32,
    },
    /// A link by which a password is reset within an hour.
    Reset {
        /// As [`crate::service::accounts::invited::reset_link`] gives it.
        path: String,
    },
}

/// Sends letters.
pub(crate) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    url: String,
    host: String,
    places: Semaphore,
}

impl Mailer {
    /// Checks the settings; the mail server is not asked yet.
    pub(crate) fn new(config: &MailConfig) -> Result<Self, MailError> {
        let from = config.from.parse::<Mailbox>();
        let from = from.map_err(|error| MailError::Settings(format!("from: {error}")))?;
        let url = config.public_url.trim_end_matches('/').to_owned();
        let host = host_of(&url).ok_or_else(|| {
            MailError::Settings("public_url: it is no address as https://cairn.example".into())
        })?;
        if config.encryption == MailEncryption::None && !is_this_machine(&config.server) {
            let what = "encryption: without it, mail is handed to a server on this machine alone";
            return Err(MailError::Settings(what.into()));
        }
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.server)
            .port(config.port)
            .tls(tls(config)?)
            .timeout(Some(PATIENCE))
            .hello_name(ClientId::Domain(host.clone()));
        if let Some((user, password)) = &config.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.clone()));
        }
        Ok(Self {
            transport: builder.build(),
            from,
            url,
            host,
            places: Semaphore::new(AT_ONCE),
        })
    }

    /// Sends a letter; the mail server has it then.
    pub(crate) async fn send(&self, runtime: &Runtime, to: &Email, letter: &Letter) -> Result<(), MailError> {
        let message = self.write(runtime, to, letter)?;
        let sent = async {
            let _place = self.places.acquire().await;
            self.transport.send(message).await
        };
        let too_late = || MailError::Unreachable {
            what: "it takes too long".into(),
        };
        let sent = tokio::time::timeout(PATIENCE, sent).await;
        sent.map_err(|_| too_late())?.map_err(failure)?;
        tracing::info!("a letter was sent");
        Ok(())
    }

    fn write(&self, runtime: &Runtime, to: &Email, letter: &Letter) -> Result<Message, MailError> {
        let unusable = |error: String| MailError::Settings(error);
        let to = to.as_str().parse().map_err(|_| {
            // The error's own words hold the address.
            unusable("the address cannot be written to".into())
        })?;
        let mut id = [0; 16];
        runtime.entropy.fill(&mut id);
        let id = format!("<{:032x}@{}>", u128::from_le_bytes(id), self.host);
        let now_ms = u64::try_from(runtime.clock.now().as_millis()).unwrap_or_default();
        let (subject, text) = self.words(letter);
        // As it is, so that nothing cuts a link in two: ASCII, as host and path are, in lines that are shorter than the limit.
        let lines = text.replace('\n', "\r\n").into_bytes();
        let plain = Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit);
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .message_id(Some(id))
            .date(UNIX_EPOCH + Duration::from_millis(now_ms))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(plain)
            .map_err(|error| unusable(error.to_string()))
    }

    fn words(&self, letter: &Letter) -> (String, String) {
        let Self { url, host, .. } = self;
        match letter {
            Letter::Invitation { path, days } => (
                format!("An account on {host}"),
                format!(
                    "You are invited to have an account on {url}.\n\nMake it here:\n\n{url}{path}\n\n\
                     The link works once, and for {days} days.\n"
                ),
            ),
            Letter::Reset { path } => (
                format!("Another password on {host}"),
                format!(
                    "Another password was asked for, for your account on {url}.\n\nChoose it here:\n\n{url}{path}\n\n\
                     The link works once, within an hour. If it was not you who asked, do nothing: \
                     your password stays as it is.\n"
                ),
            ),
        }
    }
}

fn tls(config: &MailConfig) -> Result<Tls, MailError> {
    if config.encryption == MailEncryption::None {
        return Ok(Tls::None);
    }
    let wrong = |error: lettre::transport::smtp::Error| MailError::Settings(error.to_string());
    let mut parameters = TlsParameters::builder(config.server.clone());
    if let Some(authority) = &config.authority {
        parameters = parameters.add_root_certificate(Certificate::from_pem(authority).map_err(wrong)?);
    }
    let parameters = parameters.build_rustls().map_err(wrong)?;
    Ok(match config.encryption {
        MailEncryption::Tls => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}

/// What went wrong, in words that hold no address.
fn failure(error: lettre::transport::smtp::Error) -> MailError {
    if let Some(code) = error.status() {
        return MailError::Refused {
            code: code.to_string(),
        };
    }
    let what = match std::error::Error::source(&error) {
        Some(cause) => cause.to_string(),
        None => error.to_string(),
    };
    MailError::Unreachable { what }
}

fn host_of(url: &str) -> Option<String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let is_host = !host.is_empty() && host.bytes().all(legal) && !rest.contains(['/', '?', '#', '@']);
    is_host.then(|| host.to_owned())
}

fn is_this_machine(server: &str) -> bool {
    ["localhost", "127.0.0.1", "::1", "[::1]"].contains(&server)
}

/// Sends a letter, where mail is configured; false where it is not.
pub(crate) async fn send(state: &State, to: &Email, letter: &Letter) -> Result<bool, MailError> {
    match state.mailer.get() {
        None => Ok(false),
        Some(mailer) => mailer.send(&state.runtime, to, letter).await.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use super::*;
    use crate::oidc::OidcConfig;

    fn config() -> MailConfig {
        MailConfig {
            server: "localhost".into(),
            port: 25,
            encryption: MailEncryption::None,
            credentials: None,
            authority: None,
            from: "Cairn <cairn@example.org>".into(),
            public_url: "https://cairn.example:8321/".into(),
        }
    }

    /// Says whether a type can be printed: the first is taken where it can.
    struct Printable<T>(PhantomData<T>);

    impl<T: std::fmt::Debug> Printable<T> {
        const SAYS: bool = true;
    }

    trait Unprintable {
        const SAYS: bool = false;
    }

    impl<T> Unprintable for Printable<T> {}

    #[test]
    fn settings_and_letters_cannot_be_printed() {
        // The mail server's password, the secret of this server, a link; the last holds none of it.
        let printable = [
            Printable::<MailConfig>::SAYS,
            Printable::<OidcConfig>::SAYS,
            Printable::<Letter>::SAYS,
            Printable::<MailEncryption>::SAYS,
        ];
        assert_eq!(printable, [false, false, false, true]);
    }

    #[test]
    fn settings_are_checked_before_anything_is_sent() {
        assert!(Mailer::new(&config()).is_ok());
        let elsewhere = MailConfig {
            server: "mail.example.org".into(),
            ..config()
        };
        assert!(Mailer::new(&elsewhere).is_err(), "in the clear");
        for from in ["", "nobody", "a@b, c@d"] {
            let from = from.to_owned();
            assert!(Mailer::new(&MailConfig { from, ..config() }).is_err());
        }
        for url in [
            "",
            "cairn.example",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://u@h",
        ] {
            let public_url = url.to_owned();
            assert!(
                Mailer::new(&MailConfig {
                    public_url,
                    ..config()
                })
                .is_err(),
                "{url}"
            );
        }
    }
}
