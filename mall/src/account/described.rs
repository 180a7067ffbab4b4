//! What account's port does, for the mall's description.

use chassis::http::fields::Fields;
use chassis::openapi::operation::{Operation, Shape};
use serde_json::json;

use super::api::{Action, routes};
use super::decide::SignUp;
use super::wire::{Profile, Tokens};
use crate::described::Described;
use crate::settings::Name;

/// Every row of the port's table.
pub(crate) fn operations() -> Vec<Described> {
    Described::all(Name::Account, routes(), Action::operation)
}

impl Action {
    fn operation(self) -> Operation {
        let user = || Shape::of::<Profile<'_>>("User");
        match self {
            Action::Token => {
                Operation::new("Signs in: password, refresh_token, client_credentials")
                    .oauth()
                    .shows("200", Shape::of::<Tokens<'_>>("Tokens"))
            }
            Action::Revoke => Operation::new("Ends a sign-in (RFC 7009)").oauth().empty("200"),
            Action::SignUp => {
                Operation::new("Signs up").json(Fields::asked(SignUp::read)).shows("201", user())
            }
            Action::Me => Operation::new("Who is signed in").shows("200", user()),
            Action::Keys => {
                let keys = json!({ "type": "array", "items": { "type": "object" } });
                let set = json!({
                    "type": "object", "properties": { "keys": keys }, "required": ["keys"],
                });
                Operation::new("The keys that tokens are verified with (RFC 7517)")
                    .shows("200", Shape::foreign("Keys", set))
            }
        }
    }
}
