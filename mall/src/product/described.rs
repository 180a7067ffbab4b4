//! What product's port does, for the mall's description.

use chassis::http::fields::Fields;
use chassis::http::query::Query;
use chassis::openapi::operation::{Operation, Shape};

use super::api::{Action, routes, search};
use super::command::{self, Edit};
use super::wire::ProductBody;
use crate::answers;
use crate::described::Described;
use crate::settings::Name;

/// Every route of the port.
pub(crate) fn operations() -> Vec<Described> {
    Described::all(Name::Product, routes(), Action::operation)
}

impl Action {
    fn operation(self) -> Operation {
        let product = || Shape::of::<ProductBody<'_>>("Product");
        match self {
            Action::List => Operation::new("Products")
                .list(Query::asked(answers::slice), product().listed("products")),
            Action::FindByName => Operation::new("Products of a name")
                .list(Query::asked(search), product().listed("products")),
            Action::Read | Action::Ask => Operation::new("A product").read(product()),
            Action::Register => Operation::new("Registers a product")
                .json(Fields::asked(|fields| Edit::whole(fields, &[])))
                .shows("201", product()),
            Action::Replace => Operation::new("Puts another product in a product's place")
                .json(Fields::asked(|fields| Edit::whole(fields, &["stock"])))
                .shows("200", product()),
            Action::Patch => Operation::new("Changes a product")
                .json(Fields::asked(Edit::read))
                .shows("200", product()),
            Action::Delete => Operation::new("Deletes a product").empty("204"),
            Action::Restock => Operation::new("Adds pieces that arrived")
                .json(Fields::asked(command::restocked))
                .shows("200", product()),
            Action::Picture => Operation::new("A product's picture").bytes("image/*").empty("304"),
        }
    }
}
