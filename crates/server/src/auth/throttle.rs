//! How often passwords may be tried.

use std::net::IpAddr;

use cairn_metadata::Email;

use super::tokens;
use crate::config::LoginLimits;
use crate::error::ServiceError;
use crate::limiter::Limiter;
use crate::request::Peer;

pub(crate) struct LoginThrottle {
    by_address: Limiter<IpAddr>,
    /// By SHA-256 of the e-mail address, whether an account has it or not.
    by_account: Limiter<[u8; 32]>,
}

impl LoginThrottle {
    pub(crate) fn new(limits: &LoginLimits) -> Self {
        Self {
            by_address: Limiter::with_interval(limits.address_burst, limits.address_interval),
            by_account: Limiter::with_interval(limits.account_burst, limits.account_interval),
        }
    }

    /// Counts an attempt, before any work is done for it.
    pub(crate) fn attempt(&self, peer: Peer, email: &Email) -> Result<(), ServiceError> {
        let limited = |retry_after| ServiceError::RateLimited { retry_after };
        self.by_address.take(&network(peer.0), 1).map_err(limited)?;
        let account = tokens::sha256(email.as_str().as_bytes()).unwrap_or_default();
        self.by_account.take(&account, 1).map_err(limited)
    }

    pub(crate) fn tidy(&self) {
        self.by_address.tidy();
        self.by_account.tidy();
    }
}

/// What one household has: an IPv4 address, or the upper half of an IPv6 one.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_household_is_one_network() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("192.0.2.7"), "192.0.2.7");
        assert_eq!(network("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
