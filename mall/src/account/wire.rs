//! What account writes on the wire: its event, its bodies.

use chassis::identity::Jwk;
use chassis::wire;
use serde::Serialize;

use super::user::User;

/// The data of UserRegistered: what others may know of a user.
#[derive(Serialize)]
pub(super) struct UserEvent<'a> {
    username: &'a str,
    nickname: &'a str,
    address: &'a str,
}

wire! {
    Camel "camelCase":
    /// A user as bodies show it.
    pub(super) struct Profile<'a> {
        id: &'a str,
        username: &'a str,
        nickname: &'a str,
        address: &'a str,
        role: &'a str,
    }
}

wire! {
    Snake "snake_case":
    /// A token answer (RFC 6749, 5.1).
    pub(super) struct Tokens<'a> {
        pub(super) access_token: &'a str,
        pub(super) token_type: &'static str,
        pub(super) expires_in: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) refresh_token: Option<&'a str>,
    }
}

wire! {
    Snake "snake_case":
    /// Why there is no token (RFC 6749, 5.2).
    pub(super) struct OAuthError<'a> {
        pub(super) error: &'a str,
    }
}

wire! {
    Snake "snake_case":
    /// The keys that tokens are verified with (RFC 7517, 5).
    pub(super) struct KeySet<'a> {
        pub(super) keys: &'a [Jwk],
    }
}

impl<'a> UserEvent<'a> {
    pub(super) fn of(user: &'a User) -> UserEvent<'a> {
        UserEvent { username: &user.username, nickname: &user.nickname, address: &user.address }
    }
}

impl<'a> Profile<'a> {
    pub(super) fn of(user: &'a User) -> Profile<'a> {
        Profile {
            id: &user.username,
            username: &user.username,
            nickname: &user.nickname,
            address: &user.address,
            role: user.role.as_str(),
        }
    }

    /// What there is to say of a client that signed in as itself.
    pub(super) fn of_client(name: &'a str, role: &'a str) -> Profile<'a> {
        Profile { id: name, username: name, nickname: "", address: "", role }
    }
}
