//! What a page, a row of it and its head look like, as the views write them.
//!
//! The shapes are taken from a page that is laid out for it, by what lays out every page: a member that is written
//! is described, and nothing else is. A page's columns have names and no types: what a rule puts in them, only its
//! events know.

use chassis::openapi::operation::Shape;
use chassis::schema;
use serde_json::{Value, json};
use views::{Definitions, Page};

use crate::pages::lists;
use crate::plan::PageHead;

/// Shapes of one page.
pub(super) struct PageShapes<'d> {
    page: &'d Page,
    /// One of the page, with a row in its list.
    example: Value,
    head: Vec<&'d str>,
    row: Vec<&'d str>,
}

impl<'d> PageShapes<'d> {
    pub(super) fn new(definitions: &'d Definitions, page: &'d Page) -> PageShapes<'d> {
        let views::Columns { head, row } = definitions.columns(page);
        PageShapes { page, example: definitions.example(page), head, row }
    }

    /// The page as JSON.
    pub(super) fn page(&self) -> Shape {
        let mut shape = schema::of_example(&self.example, &self.example);
        let members = &mut shape["properties"];
        // In this order: a list that has the name of a column is the list.
        untype(members, &self.head);
        members[&self.page.list] = json!({ "type": "array", "items": self.row_shape() });
        Shape::foreign(&self.page.name, shape)
    }

    /// A row of its list.
    pub(super) fn row(&self) -> Shape {
        Shape::foreign(&format!("{}-row", self.page.name), self.row_shape())
    }

    /// Its head under the owner's own name, or some of it.
    pub(super) fn head(&self, head: &PageHead) -> Shape {
        let shown = Value::Object(lists::head_of(head, self.page, "", self.example.clone()));
        let mut shape = schema::of_example(&shown, &shown);
        let members = &mut shape["properties"];
        untype(members, &self.head);
        let shown: Vec<&str> =
            self.head.iter().copied().filter(|name| members.get(name).is_some()).collect();
        let suffix = if let [alone] = shown[..] { alone } else { "head" };
        Shape::foreign(&format!("{}-{suffix}", self.page.name), shape)
    }

    fn row_shape(&self) -> Value {
        let row = &self.example[&self.page.list][0];
        let mut shape = schema::of_example(row, row);
        untype(&mut shape["properties"], &self.row);
        shape
    }
}

/// Columns may be anything, whatever they are in the example.
fn untype(members: &mut Value, columns: &[&str]) {
    for column in columns {
        if let Some(member) = members.get_mut(column) {
            *member = json!({});
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::openapi::operation::{Operation, Shapes};
    use chassis::settings::Tree;

    use super::*;

    const READ_SIDE: &str = "
views:
  orders:
    topics: [order]
    key: orderId
    owner: customerId
    on: { OrderPlaced: { create: { orderId: event.orderId, customerId: event.customerId } } }
    hidden: [customerId]
  customers:
    topics: [account]
    key: username
    owner: username
    on: { UserRegistered: { create: { username: event.username, nickname: event.nickname } } }
    hidden: [username]
pages:
  my-page: { path: \"/mypages/{customerId}\", view: orders, by: customerId, head: customers, template: t }
";

    /// The members of each shape, and what each is.
    fn described(shape: impl FnOnce(PageShapes<'_>) -> Shape) -> Value {
        let settings = Tree::parse("test", READ_SIDE).expect("YAML").read().expect("settings");
        let definitions = Definitions::compile(&settings, &|_| Ok(String::new())).expect("views");
        let page = definitions.pages().next().expect("a page");
        let mut shapes = Shapes::new();
        let shape = shape(PageShapes::new(&definitions, page));
        Operation::new("Reads").shows("200", shape).describe("/", &mut shapes);
        Value::Object(shapes)
    }

    #[test]
    fn a_page_is_described_as_it_is_written() {
        let (text, whole) =
            (json!({ "type": "string" }), json!({ "type": "integer", "minimum": 0 }));
        let row = json!({ "orderId": {} });
        let page = &described(|page| page.page())["my-page"];
        let members = &page["properties"];
        assert_eq!(members["orders"]["items"]["properties"], row, "{page}");
        assert_eq!(members["customerId"], text);
        assert_eq!((&members["version"], &members["position"]), (&whole, &text));
        assert_eq!(members["nickname"], json!({}), "a column is whatever its events say");
        assert_eq!(
            page["required"],
            json!(["customerId", "nickname", "orders", "position", "version"])
        );
        let list = &described(|page| page.row().listed("orders"))["my-page-rowList"];
        let rows = &list["properties"]["_embedded"]["properties"]["orders"]["items"];
        assert_eq!(rows["properties"], row);
    }

    #[test]
    fn its_head_is_described_with_the_owners_own_name_and_what_is_wished_of_it() {
        let head = |fields| {
            let head = PageHead { page: 0, owner: "userId".to_owned(), fields };
            described(|page| page.head(&head))
        };
        let alone = &head(Some(vec!["nickname".to_owned()]))["my-page-nickname"];
        assert_eq!(alone["required"], json!(["nickname", "userId"]));
        assert_eq!(alone["properties"]["userId"], json!({ "type": "string" }));
        let all = &head(None)["my-page-nickname"];
        assert_eq!(all["required"], alone["required"], "what is the page's own is left out");
        assert_eq!(head(Some(Vec::new()))["my-page-head"]["required"], json!(["userId"]));
    }
}
