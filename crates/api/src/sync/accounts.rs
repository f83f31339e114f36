//! Signing in, and what is linked to an account.

use cairn_core::ids::{AccountId, DeviceId, NamespaceId};
use cairn_core::rev::Cursor;
use cairn_core::time::Timestamp;
use minicbor::{Decode, Encode};

/// Asks for a token.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Login {
    /// The account's address.
    #[n(0)]
    pub email: String,
    /// Its password.
    #[n(1)]
    pub password: String,
    /// The name that the owner will see for this device.
    #[n(2)]
    pub device_name: String,
    /// The device's id: chosen at random on the first login, the same afterwards.
    #[cbor(n(3), with = "crate::wire")]
    pub device: DeviceId,
    /// A code of the account's authenticator, or a recovery code; only where one is asked for.
    #[n(4)]
    pub code: Option<String>,
}

/// Keeps the password out of logs.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// A linked device's credentials.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct LoginReply {
    /// Sent as `Authorization: Bearer` from now on.
    #[n(0)]
    pub token: String,
    /// The account.
    #[cbor(n(1), with = "crate::wire")]
    pub account: AccountId,
    /// The namespace of the account's own files.
    #[cbor(n(2), with = "crate::wire")]
    pub root: NamespaceId,
    /// The cursor before the first entry of that namespace's journal.
    #[cbor(n(3), with = "crate::wire")]
    pub origin: Cursor,
}

/// Keeps the token out of logs.
impl std::fmt::Debug for LoginReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginReply")
            .field("account", &self.account)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Whom the token speaks for.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Whoami {
    /// The account.
    #[cbor(n(0), with = "crate::wire")]
    pub account: AccountId,
    /// Its address.
    #[n(1)]
    pub email: String,
    /// The device.
    #[cbor(n(2), with = "crate::wire")]
    pub device: DeviceId,
    /// The namespace of the account's own files.
    #[cbor(n(3), with = "crate::wire")]
    pub root: NamespaceId,
    /// Live bytes in it.
    #[n(4)]
    pub bytes_used: u64,
    /// Bytes that it may hold; `None` for no bound.
    #[n(5)]
    pub quota_bytes: Option<u64>,
}

/// Keeps the address out of logs.
impl std::fmt::Debug for Whoami {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Whoami")
            .field("account", &self.account)
            .field("device", &self.device)
            .field("root", &self.root)
            .field("bytes_used", &self.bytes_used)
            .field("quota_bytes", &self.quota_bytes)
            .finish_non_exhaustive()
    }
}

/// The account's devices.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Devices {
    /// By id.
    #[n(0)]
    pub devices: Vec<DeviceRow>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeviceRow {
    /// The device.
    #[cbor(n(0), with = "crate::wire")]
    pub id: DeviceId,
    /// Its name.
    #[n(1)]
    pub name: String,
    /// When it was linked.
    #[cbor(n(2), with = "crate::wire")]
    pub created_at: Timestamp,
    /// When it was last heard of, to the hour.
    #[cbor(n(3), with = "crate::wire")]
    pub last_seen_at: Timestamp,
    /// What it is: `device`, `app` or `token`; `None` where the server knows devices only.
    #[n(4)]
    pub kind: Option<String>,
    /// Whether it is to delete what it keeps and has not said that it did; `None` where the server cannot ask for that.
    #[n(5)]
    pub is_to_be_wiped: Option<bool>,
}

/// Forgets what is linked to the account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Unlink {
    /// The device, or what else is listed among the devices.
    #[cbor(n(0), with = "crate::wire")]
    pub device: DeviceId,
}

/// Unlinks a device, which then deletes what it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AskWipe {
    /// The device.
    #[cbor(n(0), with = "crate::wire")]
    pub device: DeviceId,
    /// Whether also what the server does not have is deleted.
    #[n(1)]
    pub everything: bool,
}

/// What a device is to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct WipeOrder {
    /// Whether also what the server does not have is deleted.
    #[n(0)]
    pub everything: bool,
}

/// What a device has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Wiped {
    /// Files and links that the server has as they were.
    #[n(0)]
    pub removed: u64,
    /// Files and links that the server does not have as they were.
    #[n(1)]
    pub unsent: u64,
    /// Whether those are still there.
    #[n(2)]
    pub is_kept: bool,
}

/// Asks for a token for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MakeToken {
    /// What its owner calls it, as a device's name.
    #[n(0)]
    pub name: String,
    /// What it may do, names with spaces between them; everything but `sync` when empty.
    #[n(1)]
    pub scopes: String,
    /// Days until it expires; `None` for never.
    #[n(2)]
    pub days: Option<u32>,
}

/// Asks about the account's second factor, or changes it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SecondFactor {
    /// What to do.
    #[n(0)]
    pub step: SecondFactorStep,
    /// The account's password, to begin and to turn off; else empty.
    #[n(1)]
    pub password: String,
    /// A code, to confirm and to turn off.
    #[n(2)]
    pub code: Option<String>,
}

/// Keeps password and code out of logs.
impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactor")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// What to do about a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SecondFactorStep {
    /// Say whether it is asked for.
    #[n(0)]
    Look,
    /// Draw a secret for an authenticator.
    #[n(1)]
    Begin,
    /// Ask for it from now on.
    #[n(2)]
    Confirm,
    /// Ask for it no more.
    #[n(3)]
    TurnOff,
}

/// The second factor after that.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SecondFactorReply {
    /// Whether it is asked for.
    #[n(0)]
    pub is_active: bool,
    /// What the authenticator must be told, in base32; of a beginning.
    #[n(1)]
    pub secret: Option<String>,
    /// The same as an `otpauth` address.
    #[n(2)]
    pub uri: Option<String>,
    /// Codes that stand for the authenticator, each once; of a confirmation.
    #[n(3)]
    pub recovery_codes: Vec<String>,
}

/// Keeps secret and codes out of logs.
impl std::fmt::Debug for SecondFactorReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactorReply")
            .field("is_active", &self.is_active)
            .finish_non_exhaustive()
    }
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct MakeTokenReply {
    /// What it is listed and unlinked by.
    #[cbor(n(0), with = "crate::wire")]
    pub id: DeviceId,
    /// Sent as `Authorization: Bearer`.
    #[n(1)]
    pub token: String,
}

/// Keeps the token out of logs.
impl std::fmt::Debug for MakeTokenReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MakeTokenReply")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use cairn_core::ids::{ChainHash, Incarnation};
    use cairn_core::rev::Seq;

    use super::*;

    #[test]
    fn neither_addresses_nor_secrets_are_printed() {
        let mark = || "mark".to_owned();
        let (account, device) = (AccountId::new(1).unwrap(), DeviceId::new(2).unwrap());
        let root = NamespaceId::new(3).unwrap();
        let login = Login {
            email: mark(),
            password: mark(),
            device_name: mark(),
            device,
            code: Some(mark()),
        };
        let reply = LoginReply {
            token: mark(),
            account,
            root,
            origin: Cursor {
                namespace: root,
                incarnation: Incarnation::new([4; 16]),
                seq: Seq::ZERO,
                chain: ChainHash::new([5; 32]),
            },
        };
        let whoami = Whoami {
            account,
            email: mark(),
            device,
            root,
            bytes_used: 5,
            quota_bytes: None,
        };
        let factor = SecondFactor {
            step: SecondFactorStep::Confirm,
            password: mark(),
            code: Some(mark()),
        };
        let begun = SecondFactorReply {
            is_active: false,
            secret: Some(mark()),
            uri: Some(mark()),
            recovery_codes: vec![mark()],
        };
        let made = MakeTokenReply {
            id: device,
            token: mark(),
        };
        let all: [&dyn Debug; 6] = [&login, &reply, &whoami, &factor, &begun, &made];
        for shown in all {
            let text = format!("{shown:?} {shown:#?}");
            assert!(!text.contains("mark"), "{text}");
        }
    }
}
