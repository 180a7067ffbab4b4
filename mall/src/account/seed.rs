//! The demo's users and its client: written, and believed, where the settings ask for seeds alone.
//!
//! Their passwords are shorter than sign-up allows, and known to everybody; they are here as ready
//! PHC strings so that a start spends no time on hashing.

use events::Cause;
use events::store::Tx;

use super::issuer::Client;
use super::publish;
use super::store;
use super::user::User;
use crate::role::Role;

/// The client that may sign in as itself.
pub(super) const CLIENT: Client = Client { name: "uengine-client", secret: "uengine-secret" };

struct Seed {
    username: &'static str,
    /// The password's PHC string.
    phc: &'static str,
    nickname: &'static str,
    address: &'static str,
    role: Role,
}

const USERS: [Seed; 3] = [
    Seed {
        username: "1@uengine.org",
        phc: "$argon2id$v=19$m=19456,t=2,p=1$kEPE2fV8uTHYafqBKS6FXA$vo1PgHskhOTeVTg2cgpiEaZLdmfvxSByXU5ynSCDtDk",
        nickname: "유엔진",
        address: "서울시",
        role: Role::OrderCustomer,
    },
    Seed {
        username: "2@uengine.org",
        phc: "$argon2id$v=19$m=19456,t=2,p=1$mfkPJbJqlTuD4cGNimkrBQ$AZyXaiQc5Smbf/lZHuKHpjsVgEwRh2V89IusKHKKCC0",
        nickname: "여울",
        address: "부산시",
        role: Role::OrderCustomer,
    },
    Seed {
        username: "admin@uengine.org",
        phc: "$argon2id$v=19$m=19456,t=2,p=1$PuiZqwaLQM7mKhmmBYS0Iw$IsPYmni772KhFnrluFbsvjHO146gMrkAIBvX0BftYYg",
        nickname: "관리자",
        address: "서울시",
        role: Role::OrderAdmin,
    },
];

/// Writes the users where that was never done; whether it was done now.
pub(super) async fn sow(tx: &mut Tx<'_>) -> Result<bool, events::Error> {
    if !store::claim_seeding(tx).await? {
        return Ok(false);
    }
    for Seed { username, phc, nickname, address, role } in USERS {
        let user = User {
            username: username.to_owned(),
            phc: phc.to_owned(),
            nickname: nickname.to_owned(),
            address: address.to_owned(),
            role,
            sequence: tx.first_count(),
        };
        if store::insert(tx, &user).await? {
            publish::registered(tx, &user, &Cause::default()).await?;
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
        for (Seed { username, phc, .. }, password) in USERS.iter().zip(["1", "2", "admin"]) {
            let guess = passwords.guess(username, 1, true);
            let matches = passwords.matches(guess, password.into(), Some((*phc).to_owned())).await;
            assert_eq!(matches, Ok(true), "{username}");
        }
    }
}
