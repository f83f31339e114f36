//! Which certificates are believed.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring as ring_provider, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_platform_verifier::Verifier;

/// SHA-256 of a certificate as it is sent (DER), printed as 64 hexadecimal digits. Parses with colons and capitals too,
/// as other programs print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CertificateFingerprint([u8; 32]);

impl CertificateFingerprint {
    /// The fingerprint of a certificate.
    pub fn of(certificate: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, certificate).as_ref());
        Self(bytes)
    }
}

impl fmt::Display for CertificateFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Text that is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a certificate's fingerprint: it is 64 hexadecimal digits, as the server prints them when it starts"
)]
pub struct ParseFingerprintError;

impl FromStr for CertificateFingerprint {
    type Err = ParseFingerprintError;

    fn from_str(text: &str) -> Result<Self, ParseFingerprintError> {
        let digits: Vec<u8> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()
            .ok_or(ParseFingerprintError)?;
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return Err(ParseFingerprintError);
        }
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

/// What makes a server's certificate good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// It is this one, whoever signed it, whatever name and dates it carries: its owner confirmed it.
    Pinned(CertificateFingerprint),
    /// The operating system's roots vouch for it, for this name and today.
    Platform,
}

/// The last certificate that was turned down, so that the error can name it.
#[derive(Debug, Default)]
pub(super) struct Rejected(Mutex<Option<CertificateFingerprint>>);

impl Rejected {
    fn note(&self, fingerprint: CertificateFingerprint) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(fingerprint);
    }

    /// Takes the note.
    pub(super) fn take(&self) -> Option<CertificateFingerprint> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Asks what [`Trust`] says, and notes what it turns down. The server proves in any case, by its signature of the
/// handshake, that it holds the certificate's key.
#[derive(Debug)]
struct TrustVerifier {
    trust: Trust,
    /// `None` when pinned, and where the platform has no roots: nothing is trusted then.
    platform: Option<Verifier>,
    algorithms: WebPkiSupportedAlgorithms,
    rejected: Arc<Rejected>,
}

impl ServerCertVerifier for TrustVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found = CertificateFingerprint::of(end_entity);
        let verdict = match (self.trust, &self.platform) {
            (Trust::Pinned(pinned), _) if pinned == found => Ok(ServerCertVerified::assertion()),
            (Trust::Platform, Some(platform)) => {
                platform.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
            }
            _ => Err(CertificateError::ApplicationVerificationFailure.into()),
        };
        if verdict.is_err() {
            self.rejected.note(found);
        }
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// TLS 1.2 or 1.3 with *ring*, HTTP/2 preferred, and this trust.
pub(super) fn client_config(trust: Trust, rejected: &Arc<Rejected>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring_provider::default_provider());
    let platform = match trust {
        Trust::Pinned(_) => None,
        Trust::Platform => Verifier::new(Arc::clone(&provider))
            .inspect_err(|error| tracing::warn!(%error, "the platform has no root certificates"))
            .ok(),
    };
    let verifier = TrustVerifier {
        trust,
        platform,
        algorithms: provider.signature_verification_algorithms,
        rejected: Arc::clone(rejected),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_parse_as_they_are_printed_here_and_elsewhere() {
        let fingerprint = CertificateFingerprint::of(b"certificate");
        let text = fingerprint.to_string();
        assert_eq!(text.parse(), Ok(fingerprint));
        let colons: Vec<_> = text
            .as_bytes()
            .chunks(2)
            .map(|pair| String::from_utf8_lossy(pair).to_uppercase())
            .collect();
        assert_eq!(colons.join(":").parse(), Ok(fingerprint));
        for text in ["", "00", &"0".repeat(65), &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(
                text.parse::<CertificateFingerprint>(),
                Err(ParseFingerprintError),
                "{text}"
            );
        }
    }
}
