//! A user as this service keeps it.

use crate::role::Role;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) username: String,
    /// The password's PHC string.
    pub(super) phc: String,
    pub(super) nickname: String,
    pub(super) address: String,
    pub(super) role: Role,
    /// Events published of it.
    pub(super) sequence: u64,
}
