//! What account's port does, for the mall's description.

use chassis::http::fields::{Fields, Form};
use chassis::openapi::operation::{Operation, Shape};

use super::api::{Action, routes};
use super::decide::{Grant, SignUp};
use super::revocation;
use super::wire::{KeySet, OAuthError, Profile, Tokens};
use crate::described::Described;
use crate::settings::Name;

/// Every route of the port.
pub(crate) fn operations() -> Vec<Described> {
    Described::all(Name::Account, routes(), Action::operation)
}

impl Action {
    fn operation(self) -> Operation {
        let user = || Shape::of::<Profile<'_>>("User");
        let refused = || Shape::of::<OAuthError<'_>>("OAuthError");
        match self {
            Action::Token => {
                Operation::new("Signs in: password, refresh_token, client_credentials")
                    .form(Form::asked(|form| drop(Grant::read(form))))
                    .refuses(refused())
                    .shows("200", Shape::of::<Tokens<'_>>("Tokens"))
            }
            Action::Revoke => Operation::new("Ends a sign-in (RFC 7009)")
                .form(Form::asked(|form| revocation::token_of(form).is_some()))
                .refuses(refused())
                .empty("200"),
            Action::SignUp => {
                Operation::new("Signs up").json(Fields::asked(SignUp::read)).shows("201", user())
            }
            Action::Me => Operation::new("Who is signed in").shows("200", user()),
            Action::Keys => Operation::new("The keys that tokens are verified with (RFC 7517)")
                .shows("200", Shape::of::<KeySet<'_>>("Keys")),
        }
    }
}
