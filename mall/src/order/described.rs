//! What order's port does, for the mall's description.

use chassis::http::Problem;
use chassis::http::fields::Fields;
use chassis::http::query::Query;
use chassis::openapi::operation::{Operation, Shape};

use super::api::{Action, routes, search, why_no_change};
use super::command::Command;
use super::wire::{OrderBody, ProductBody};
use crate::answers;
use crate::described::Described;
use crate::settings::Name;

/// Every route of the port.
pub(crate) fn operations() -> Vec<Described> {
    Described::all(Name::Order, routes(), Action::operation)
}

impl Action {
    fn operation(self) -> Operation {
        let order = || Shape::of::<OrderBody<'_>>("Order");
        match self {
            Action::List => Operation::new("One's orders; all of them for an administrator")
                .list(Query::asked(answers::slice), order().listed("orders")),
            Action::FindByCustomer => Operation::new("A customer's orders")
                .list(Query::asked(search), order().listed("orders")),
            Action::Read => Operation::new("An order").read(order()),
            Action::Place => {
                let command =
                    |fields| Command::read(fields, |_| Err(Problem::forbidden("nobody asks")));
                Operation::new("Places an order").json(Fields::asked(command)).shows("201", order())
            }
            Action::Patch => Operation::new("Cancels an order")
                .json(Fields::asked(why_no_change))
                .shows("200", order()),
            Action::Delete => Operation::new("Cancels an order; it is kept").empty("204"),
            Action::Product => {
                Operation::new("A product as order knows it")
                    .read(Shape::of::<ProductBody<'_>>("ProductReplica"))
            }
        }
    }
}
