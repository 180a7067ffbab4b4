//! What account publishes of its users.

use events::store::Tx;
use events::{Cause, Draft, Error, Numbered};

use super::user::User;
use super::wire::UserEvent;

/// Publishes that a user is there; the outbox sequence.
pub(super) async fn registered(
    tx: &mut Tx<'_>,
    user: &User,
    cause: &Cause,
) -> Result<Numbered, Error> {
    let data = UserEvent::of(user);
    tx.publish(Draft::new("UserRegistered", &user.username, user.sequence, &data, cause)).await
}
