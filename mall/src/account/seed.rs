//! The demo's users and its client: written, and believed, where the settings ask for seeds alone.
//!
//! Their passwords are shorter than sign-up allows, and known to everybody; they are here as ready
//! PHC strings so that a start spends no time on hashing.

use chassis::identity::Role;
use events::Cause;
use events::store::Write;

use super::api::publish;
use super::store;
use super::user::User;

/// The client's name and secret.
pub(super) const CLIENT: (&str, &str) = ("uengine-client", "uengine-secret");

/// Username, PHC string, nickname, address, role.
const USERS: [(&str, &str, &str, &str, Role); 3] = [
    (
        "1@uengine.org",
        "$argon2id$v=19$m=19456,t=2,p=1$kEPE2fV8uTHYafqBKS6FXA$vo1PgHskhOTeVTg2cgpiEaZLdmfvxSByXU5ynSCDtDk",
        "유엔진",
        "서울시",
        Role::OrderCustomer,
    ),
    (
        "2@uengine.org",
        "$argon2id$v=19$m=19456,t=2,p=1$mfkPJbJqlTuD4cGNimkrBQ$AZyXaiQc5Smbf/lZHuKHpjsVgEwRh2V89IusKHKKCC0",
        "여울",
        "부산시",
        Role::OrderCustomer,
    ),
    (
        "admin@uengine.org",
        "$argon2id$v=19$m=19456,t=2,p=1$PuiZqwaLQM7mKhmmBYS0Iw$IsPYmni772KhFnrluFbsvjHO146gMrkAIBvX0BftYYg",
        "관리자",
        "서울시",
        Role::OrderAdmin,
    ),
];

/// Writes the users where that was never done; whether it was done now.
pub(super) fn sow(write: &mut Write<'_>) -> Result<bool, events::Error> {
    if !store::claim_seeding(write.sql())? {
        return Ok(false);
    }
    for (username, phc, nickname, address, role) in USERS {
        let user = User {
            username: username.to_owned(),
            phc: phc.to_owned(),
            nickname: nickname.to_owned(),
            address: address.to_owned(),
            role,
            sequence: 1,
        };
        if store::insert(write.sql(), &user)? {
            publish(write, &user, &Cause::default())?;
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::password::Passwords;
    use crate::settings::SignIn;

    #[tokio::test]
    async fn the_demo_users_sign_in_with_the_passwords_everybody_knows() {
        let passwords = Passwords::start(&SignIn::default()).expect("threads start");
        for ((username, phc, ..), password) in USERS.iter().zip(["1", "2", "admin"]) {
            let guess = passwords.guess(username, 1, true);
            let matches = passwords.matches(guess, password.into(), Some((*phc).to_owned())).await;
            assert_eq!(matches, Ok(true), "{username}");
        }
    }
}
