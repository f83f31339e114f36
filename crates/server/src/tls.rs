//! The server's certificate: the operator's own, or one that it makes for itself on its first start.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ServerConfig};
use rustls_platform_verifier::Verifier;

use crate::auth::tokens::sha256;
use crate::data_folder::make_private_folder;

/// SHA-256 of a certificate, by which a device knows a server that no authority vouches for. Printed as 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a listener needs to speak TLS 1.2 and 1.3.
#[derive(Clone)]
pub struct Tls {
    pub(crate) config: Arc<ServerConfig>,
    fingerprint: Fingerprint,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A file holds no certificate or no key in PEM format.
    #[error("cannot read {}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate at all.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key cannot be used, alone or together.
    #[error("the certificate and its key cannot be used")]
    Unusable(#[source] rustls::Error),
    /// No certificate could be made.
    #[error("cannot make a certificate")]
    Generate(#[source] rcgen::Error),
}

/// How this server knows those that it asks something of: by the system's certificates, and by `authority` (PEM) beside them.
///
/// # Errors
/// What is wrong with the certificates, in words.
pub fn outgoing(authority: Option<&[u8]>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let more = authority.map_or(Ok(Vec::new()), |pem| {
        CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()
    });
    let more = more.map_err(|error| format!("the certificates cannot be read: {error}"))?;
    let setup = |error: rustls::Error| format!("TLS cannot be set up: {error}");
    let verifier = Verifier::new_with_extra_roots(more, Arc::clone(&provider)).map_err(setup)?;
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

impl Tls {
    /// Reads a certificate chain and its key from PEM files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let pem = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::Pem { path, source }
        };
        let chain = CertificateDer::pem_file_iter(certificate).map_err(pem(certificate))?;
        let chain = chain.collect::<Result<Vec<_>, _>>().map_err(pem(certificate))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(pem(key))?;
        let Some(first) = chain.first() else {
            return Err(TlsError::NoCertificate {
                path: certificate.to_owned(),
            });
        };
        let fingerprint = Fingerprint(sha256(first).unwrap_or_default());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(TlsError::Unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // Tickets that hold the session themselves, under keys of this process: what rustls keeps in their place in memory
        // is 256 sessions, of all devices together, and these come back all at once after a cut.
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(TlsError::Unusable)?;
        Ok(Self {
            config: Arc::new(config),
            fingerprint,
        })
    }

    /// Uses the self-signed certificate in `folder`; makes one for these host names and addresses when there is none.
    /// Its key is readable by its owner alone. It stays the same for the life of the folder: devices have pinned it.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn self_signed(folder: &Path, hosts: &[String]) -> Result<Self, TlsError> {
        let certificate = folder.join("cert.pem");
        let key = folder.join("key.pem");
        // The certificate is written last: where it is, the key is.
        if !certificate.exists() {
            let io = |action, path: &Path| {
                let path = path.to_owned();
                move |source| TlsError::Io { action, path, source }
            };
            make_private_folder(folder).map_err(io("make", folder))?;
            let made = rcgen::generate_simple_self_signed(hosts.to_vec()).map_err(TlsError::Generate)?;
            write_private(&key, &made.signing_key.serialize_pem()).map_err(io("write", &key))?;
            write_private(&certificate, &made.cert.pem()).map_err(io("write", &certificate))?;
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(io("sync", folder))?;
        }
        Self::from_files(&certificate, &key)
    }

    /// SHA-256 of the server's own certificate.
    pub const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

/// Writes a file of mode 0600 and makes it durable under its name.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let staged = path.with_extension("new");
    match std::fs::remove_file(&staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&staged)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&staged, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, ServerConnection};

    #[test]
    fn a_certificate_is_made_once_and_its_key_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls");
        let hosts = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let first = Tls::self_signed(&path, &hosts).unwrap();
        let second = Tls::self_signed(&path, &hosts).unwrap();
        assert_eq!(first.fingerprint(), second.fingerprint());
        assert_eq!(first.fingerprint().to_string().len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(path.join("key.pem"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    /// A handshake in memory, and what the server sends right after it; how it was made.
    fn shake_hands(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> HandshakeKind {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(Arc::clone(client), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        loop {
            let (mut there, mut back) = (Vec::new(), Vec::new());
            while client.wants_write() {
                client.write_tls(&mut there).unwrap();
            }
            while server.wants_write() {
                server.write_tls(&mut back).unwrap();
            }
            if there.is_empty() && back.is_empty() {
                return client.handshake_kind().unwrap();
            }
            let (mut there, mut back) = (&there[..], &back[..]);
            while !there.is_empty() {
                server.read_tls(&mut there).unwrap();
                server.process_new_packets().unwrap();
            }
            while !back.is_empty() {
                client.read_tls(&mut back).unwrap();
                client.process_new_packets().unwrap();
            }
        }
    }

    #[test]
    fn a_device_resumes_whatever_the_number_of_others_that_came_since() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tls");
        let tls = Tls::self_signed(&path, &["localhost".to_owned()]).unwrap();
        let device = || {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from_pem_file(path.join("cert.pem")).unwrap())
                .unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            Arc::new(config)
        };
        let first = device();
        assert_eq!(shake_hands(&first, &tls.config), HandshakeKind::Full);
        for _ in 0..300 {
            assert_eq!(shake_hands(&device(), &tls.config), HandshakeKind::Full);
        }
        assert_eq!(shake_hands(&first, &tls.config), HandshakeKind::Resumed);
    }

    #[test]
    fn a_broken_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        std::fs::write(&path, "nothing").unwrap();
        let error = Tls::from_files(&path, &path).err().unwrap();
        assert!(error.to_string().contains("cert.pem"), "{error}");
    }
}
