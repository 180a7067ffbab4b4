//! What account publishes of its users.

use events::store::{Published, Tx};
use events::{Cause, Draft, Error};

use super::user::User;
use super::wire::UserEvent;

/// Publishes that a user is there.
pub(super) async fn registered(
    tx: &mut Tx<'_>,
    user: &User,
    cause: &Cause,
) -> Result<Published, Error> {
    let data = UserEvent::of(user);
    tx.publish(Draft::new("UserRegistered", &user.username, user.sequence, &data, cause)).await
}
