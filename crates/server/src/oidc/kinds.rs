//! What went wrong with a provider, in words of ours: its own may hold anything, and errors of libraries quote them.

use std::error::Error;

use openidconnect::{
    ClaimsVerificationError, DiscoveryError, RequestTokenError, SignatureVerificationError, UserInfoError,
};

/// Why what a token claims is not believed.
pub(super) const fn of_claims(error: &ClaimsVerificationError) -> &'static str {
    use ClaimsVerificationError as Claims;
    match error {
        Claims::Expired(_) => "the token is over",
        Claims::InvalidAudience(_) => "the token is for another server",
        Claims::InvalidIssuer(_) => "the token names another issuer",
        Claims::InvalidNonce(_) => "the token is of another sign-in",
        Claims::InvalidSubject(_) => "what is told of the user is of somebody else",
        Claims::SignatureVerification(error) => of_signature(error),
        _ => "the token cannot be checked",
    }
}

const fn of_signature(error: &SignatureVerificationError) -> &'static str {
    use SignatureVerificationError as Signature;
    match error {
        Signature::NoMatchingKey => "the token is signed by a key that the provider does not name",
        Signature::NoSignature => "the token is not signed",
        Signature::DisallowedAlg(_) | Signature::UnsupportedAlg(_) => {
            "the token is signed in a way that is not taken"
        }
        _ => "the token's signature is wrong",
    }
}

/// Why a code was not traded.
pub(super) const fn of_trade<E: Error, T: openidconnect::ErrorResponse>(
    error: &RequestTokenError<E, T>,
) -> &'static str {
    match error {
        RequestTokenError::ServerResponse(_) => "the code was refused",
        RequestTokenError::Request(_) => "the request for tokens failed",
        RequestTokenError::Parse(..) => "the answer with tokens cannot be read",
        RequestTokenError::Other(_) => "the answer with tokens is none",
    }
}

/// Why nothing was told of a user.
pub(super) const fn of_user<E: Error>(error: &UserInfoError<E>) -> &'static str {
    match error {
        UserInfoError::ClaimsVerification(error) => of_claims(error),
        UserInfoError::Parse(_) => "what is told of the user cannot be read",
        UserInfoError::Request(_) => "the request for what is told of the user failed",
        _ => "the answer to who the user is is none",
    }
}

/// Why a provider's documents cannot be used.
pub(super) const fn of_documents<E: Error>(error: &DiscoveryError<E>) -> &'static str {
    match error {
        DiscoveryError::Parse(_) => "a document of it cannot be read",
        DiscoveryError::Request(_) => "a request for its documents failed",
        DiscoveryError::Response(..) => "it does not give its documents out",
        DiscoveryError::UrlParse(_) => "its address is none",
        DiscoveryError::Validation(_) => "its document names another issuer",
        _ => "its documents cannot be used",
    }
}
