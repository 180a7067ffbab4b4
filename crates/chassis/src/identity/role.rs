//! What a principal may do, as a name: which names there are and what each opens, settings say.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest name of a role.
pub const ROLE_BYTES_MAX: usize = 64;

/// The name of a role: 1 to [`ROLE_BYTES_MAX`] letters, digits, `_`, `-`, `.` and `:`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Role(Box<str>);

/// A text that names no role: write it otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a role is 1 to {ROLE_BYTES_MAX} letters, digits, `_`, `-`, `.` and `:`. role=`{0}`")]
pub struct NoRole(String);

impl Role {
    /// The role of that name.
    ///
    /// # Errors
    /// [`NoRole`]: it is no name.
    pub fn parse(text: &str) -> Result<Role, NoRole> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        if !(1..=ROLE_BYTES_MAX).contains(&text.len()) || !text.bytes().all(fits) {
            return Err(NoRole(text.to_owned()));
        }
        Ok(Role(text.into()))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Role {
    type Error = NoRole;

    fn try_from(text: String) -> Result<Role, NoRole> {
        Role::parse(&text)
    }
}

impl From<Role> for String {
    fn from(role: Role) -> String {
        role.0.into()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_a_short_plain_name() {
        for good in ["a", "ORDER_ADMIN", "urn:x-1.2", &"r".repeat(ROLE_BYTES_MAX)] {
            assert_eq!(Role::parse(good).expect(good).as_str(), good);
        }
        for bad in ["", " ", "a b", "관리자", "a\n", &"r".repeat(ROLE_BYTES_MAX + 1)] {
            assert_eq!(Role::parse(bad), Err(NoRole(bad.to_owned())));
            assert!(serde_json::from_value::<Role>(bad.into()).is_err(), "{bad}");
        }
    }
}
