//! Passwords, kept as Argon2id hashes.
//!
//! *Source:* OWASP Password Storage Cheat Sheet: Argon2id with 19 MiB, 2 passes, 1 lane.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use cairn_core::limits;
use cairn_core::runtime::Runtime;

use crate::error::ServiceError;

/// Fewest bytes of a password. *Source:* NIST SP 800-63B, 5.1.1.2.
pub(crate) const PASSWORD_MIN_BYTES: usize = 8;

const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What accounts have in place of a hash that have no password.
pub(crate) const NONE: &str = "";

/// A hash that no password has (its digest is all zeros), checked for accounts that do not exist, so that they take as
/// long as those that do.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$Y2Fpcm4gbm8gYWNjb3VudA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn hasher() -> Result<Argon2<'static>, ServiceError> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| ServiceError::Password {
        what: error.to_string(),
    })?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Checks that a new password has a length that can be kept.
pub(crate) fn check_new(password: &str) -> Result<(), ServiceError> {
    if !(PASSWORD_MIN_BYTES..=limits::PASSWORD_BYTES).contains(&password.len()) {
        let most = limits::PASSWORD_BYTES;
        return Err(ServiceError::bad(format!(
            "a password must have {PASSWORD_MIN_BYTES} to {most} bytes"
        )));
    }
    Ok(())
}

/// Hashes a new password with a salt of its own, on the blocking pool. About 20 ms and 19 MiB.
pub(crate) async fn hash(runtime: &Runtime, password: String) -> Result<String, ServiceError> {
    let mut salt = [0; 16];
    runtime.entropy.fill(&mut salt);
    runtime
        .blocking(move || {
            let hash = hasher()?.hash_password_with_salt(password.as_bytes(), &salt);
            hash.map(|hash| hash.to_string())
                .map_err(|error| ServiceError::Password {
                    what: error.to_string(),
                })
        })
        .await
}

/// Whether the password is the one that was hashed; for an account that does not exist (`None`) or has no password it does the
/// same work and says no. The comparison takes the same time wherever the hashes differ.
pub(crate) async fn verify(
    runtime: &Runtime,
    password: String,
    stored: Option<String>,
) -> Result<bool, ServiceError> {
    runtime
        .blocking(move || {
            let stored = stored.filter(|stored| stored != NONE);
            let exists = stored.is_some();
            let stored = stored.unwrap_or_else(|| NOBODY.to_owned());
            let stored = PasswordHash::new(&stored).map_err(|error| ServiceError::Password {
                what: error.to_string(),
            })?;
            let is_right = hasher()?.verify_password(password.as_bytes(), &stored).is_ok();
            Ok(is_right && exists)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nobody_costs_as_much_as_any() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let somebody = hasher()
            .unwrap()
            .hash_password_with_salt(b"password", b"0123456789abcdef")
            .unwrap();
        assert_eq!(nobody.params, somebody.params);
        assert_eq!(nobody.algorithm, somebody.algorithm);
        assert_eq!(nobody.salt.unwrap().len(), somebody.salt.unwrap().len());
        assert_eq!(nobody.hash.unwrap().len(), somebody.hash.unwrap().len());
        assert!(hasher().unwrap().verify_password(b"password", &somebody).is_ok());
        assert!(hasher().unwrap().verify_password(b"passworD", &somebody).is_err());
    }

    #[test]
    fn passwords_have_bounds() {
        assert!(check_new("1234567").is_err());
        assert!(check_new("12345678").is_ok());
        assert!(check_new(&"x".repeat(1_024)).is_ok());
        assert!(check_new(&"x".repeat(1_025)).is_err());
    }
}
