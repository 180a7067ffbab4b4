//! What delivery's port does, for the mall's description.

use chassis::http::fields::Fields;
use chassis::http::query::Query;
use chassis::openapi::operation::{Operation, Shape};

use super::api::{Action, routes, search, wanted};
use super::wire::DeliveryBody;
use crate::answers;
use crate::described::Described;
use crate::settings::Name;

/// Every route of the port.
pub(crate) fn operations() -> Vec<Described> {
    Described::all(Name::Delivery, routes(), Action::operation)
}

impl Action {
    fn operation(self) -> Operation {
        let delivery = || Shape::of::<DeliveryBody<'_>>("Delivery");
        match self {
            Action::List => Operation::new("One's deliveries; all of them for an administrator")
                .list(Query::asked(answers::slice), delivery().listed("deliveries")),
            Action::FindByOrder => Operation::new("The delivery of an order")
                .list(Query::asked(search), delivery().listed("deliveries")),
            Action::Read => Operation::new("A delivery").read(delivery()),
            Action::Patch => Operation::new("Completes a delivery, or takes it back")
                .json(Fields::asked(wanted))
                .shows("200", delivery()),
        }
    }
}
