//! What an administrator writes of a product, read from a body.

use chassis::http::Problem;
use chassis::http::fields::{Fields, limited};
use serde_json::Value;

use super::model::{Choice, Policy, Product};

/// Characters a product's name may have.
pub(super) const NAME_CHARS_MAX: usize = 200;
/// Won one piece may cost.
pub(super) const PRICE_MAX: u64 = 1_000_000_000;
/// Pieces a product may have in stock.
pub(super) const STOCK_MAX: u64 = 1_000_000_000_000;
/// Pieces that can arrive at once.
pub(super) const RESTOCK_MAX: u64 = 1_000_000_000;
/// Characters a picture's address may have.
const IMAGE_URL_CHARS_MAX: usize = 1_000;
/// Choices a product may have.
pub(super) const OPTIONS_MAX: usize = 100;
/// Characters a choice's texts may have each.
const OPTION_CHARS_MAX: usize = 200;

/// The members that a product has.
const MEMBERS: [&str; 6] = ["name", "price", "stock", "imageUrl", "options", "stockPolicy"];

/// The members that a body named, each sound.
#[derive(Debug, Default, Clone)]
pub(super) struct Edit {
    name: Option<String>,
    price: Option<u64>,
    stock: Option<u64>,
    image_url: Option<String>,
    options: Option<Vec<Choice>>,
    policy: Option<Policy>,
}

impl Edit {
    /// A whole product: `name` and `price` must be there, and what else `also` names.
    pub(super) fn whole(mut fields: Fields, also: &[&str]) -> Result<Edit, Problem> {
        for name in ["name", "price"].iter().chain(also) {
            fields.require(name);
        }
        Edit::read(fields)
    }

    /// Some of a product: at least one member.
    pub(super) fn part(fields: Fields) -> Result<Edit, Problem> {
        if !MEMBERS.iter().any(|member| fields.has(member)) {
            return Err(Problem::bad_request("the body names no field of a product"));
        }
        Edit::read(fields)
    }

    /// Whatever the body names of a product.
    pub(super) fn read(mut fields: Fields) -> Result<Edit, Problem> {
        let edit = Edit {
            name: name(&mut fields),
            price: fields.whole("price", 0..=PRICE_MAX),
            stock: fields.whole("stock", 0..=STOCK_MAX),
            image_url: image_url(&mut fields),
            options: options(&mut fields),
            policy: policy(&mut fields),
        };
        fields.finish()?;
        Ok(edit)
    }

    /// A new product; what is missing is empty, and sold out means `cancel`.
    pub(super) fn into_product(self) -> Product {
        Product {
            id: 0,
            name: self.name.unwrap_or_default(),
            price: self.price.unwrap_or_default(),
            stock: self.stock.unwrap_or_default(),
            image_url: self.image_url.unwrap_or_default(),
            options: self.options.unwrap_or_default(),
            policy: self.policy.unwrap_or(Policy::Cancel),
            version: 1,
            deleted: false,
        }
    }

    /// PATCH: `product` with what this names in place of what was there.
    pub(super) fn laid_over(self, product: Product) -> Product {
        Product {
            name: self.name.unwrap_or(product.name),
            price: self.price.unwrap_or(product.price),
            stock: self.stock.unwrap_or(product.stock),
            image_url: self.image_url.unwrap_or(product.image_url),
            options: self.options.unwrap_or(product.options),
            policy: self.policy.unwrap_or(product.policy),
            ..product
        }
    }

    /// PUT: `product` as nothing but what this names; only its id and its count of changes stay.
    pub(super) fn in_place_of(self, product: &Product) -> Product {
        // The version is counted up by whoever stores it, as for any other change.
        let Product { id, version, .. } = *product;
        Product { id, version, ..self.into_product() }
    }
}

/// How many pieces arrived.
pub(super) fn restocked(mut fields: Fields) -> Result<u64, Problem> {
    fields.require("quantity");
    let quantity = fields.whole("quantity", 1..=RESTOCK_MAX);
    // Every mistake is known by now; past this line the number is there and in range.
    fields.finish()?;
    Ok(quantity.expect("required and in range, or finished with a problem"))
}

fn name(fields: &mut Fields) -> Option<String> {
    let name = fields.text("name", NAME_CHARS_MAX)?;
    if name.trim().is_empty() {
        fields.note("name", "must not be empty", None);
    }
    Some(name)
}

/// Nothing, a path of ours or an https address: exactly what the pages' policy lets be shown (their
/// `img-src`), so that whatever is taken here is seen there. `web/src/credentials.ts` has the same rule.
fn image_url(fields: &mut Fields) -> Option<String> {
    let url = fields.text("imageUrl", IMAGE_URL_CHARS_MAX)?;
    if !is_picture(&url) {
        let reason = "must be a path of this shop, starting with /, or an https:// address";
        fields.note("imageUrl", reason, None);
    }
    Some(url)
}

/// Browsers read `\` as `/` and drop blanks: an address with either is not what it seems. They ask for
/// no picture whose address has a name and a password in it.
fn is_picture(url: &str) -> bool {
    if url.contains(|it: char| it.is_whitespace() || it.is_control() || it == '\\') {
        return false;
    }
    match url.strip_prefix("https://") {
        Some(rest) => {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            !host.is_empty() && !host.contains('@')
        }
        None => url.is_empty() || (url.starts_with('/') && !url.starts_with("//")),
    }
}

fn policy(fields: &mut Fields) -> Option<Policy> {
    let text = fields.text("stockPolicy", NAME_CHARS_MAX)?;
    let policy = Policy::parse(&text);
    if policy.is_none() {
        fields.note("stockPolicy", "must be reject or cancel", None);
    }
    policy
}

fn options(fields: &mut Fields) -> Option<Vec<Choice>> {
    let Value::Array(items) = fields.raw("options")?.clone() else {
        fields.note("options", "must be a list", None);
        return None;
    };
    if items.len() > OPTIONS_MAX {
        let reason = format!("must be at most {OPTIONS_MAX}");
        fields.note("options", reason, Some(OPTIONS_MAX.into()));
        return None;
    }
    // One mistake of any choice is a mistake of the whole member: the client names one field.
    let choices: Option<Vec<Choice>> =
        (1..).zip(&items).map(|(number, item)| choice(number, item)).collect();
    if choices.is_none() {
        let reason = format!(
            "must each have texts of at most {OPTION_CHARS_MAX} characters, \
             name, optionName and desc, without control characters"
        );
        fields.note("options", reason, Some(OPTION_CHARS_MAX.into()));
    }
    choices
}

/// One choice; its id is its own or its number in the list.
fn choice(number: u64, item: &Value) -> Option<Choice> {
    let members = item.as_object()?;
    let text = |name: &str| match members.get(name) {
        None | Some(Value::Null) => Some(String::new()),
        Some(value) => limited(value, OPTION_CHARS_MAX).ok(),
    };
    let id = match members.get("id") {
        None | Some(Value::Null) => number,
        Some(Value::String(digits)) => digits.parse().ok()?,
        Some(id) => id.as_u64()?,
    };
    Some(Choice { id, name: text("name")?, option_name: text("optionName")?, desc: text("desc")? })
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    fn fields(body: &Value) -> Fields {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        Fields::parse(&headers, body.to_string().as_bytes()).expect("an object")
    }

    fn wrong(body: &Value) -> Vec<String> {
        match Edit::whole(fields(body), &[]) {
            Ok(_) => Vec::new(),
            Err(problem) => problem.errors().iter().map(|error| error.field.clone()).collect(),
        }
    }

    #[test]
    fn each_field_is_accepted_at_its_limit_and_refused_past_it() {
        let body = |name: &str, value: Value| {
            let mut body = json!({"name": "X", "price": 1});
            body[name] = value;
            body
        };
        let option = |text: String| json!([{ "name": text }]);
        let cases = [
            ("name", json!("n".repeat(NAME_CHARS_MAX)), json!("n".repeat(NAME_CHARS_MAX + 1))),
            ("name", json!("x"), json!(" ")),
            ("name", json!("x"), json!(null)),
            ("price", json!(PRICE_MAX), json!(PRICE_MAX + 1)),
            ("price", json!("0"), json!(-1)),
            ("stock", json!(STOCK_MAX), json!(STOCK_MAX + 1)),
            ("stock", json!("7"), json!("x")),
            ("stock", json!(null), json!(1.5)),
            ("imageUrl", json!("/goods/img/TV.svg"), json!("javascript:alert(1)")),
            ("imageUrl", json!("https://x/y.png"), json!("//x/y.png")),
            ("imageUrl", json!(""), json!("http://x/y.png")),
            ("imageUrl", json!("/y?z=1#a"), json!("/\\x/y.png")),
            ("imageUrl", json!("https://x"), json!("https:///y.png")),
            ("imageUrl", json!("https://x/그림.png"), json!("https://x/y z.png")),
            ("imageUrl", json!("https://x/@y.png"), json!("https://user:pw@x/y.svg")),
            ("imageUrl", json!("https://x?@"), json!("https://user@x")),
            ("imageUrl", json!("https://x#@"), json!("https://@x/y.svg")),
            ("imageUrl", json!("/그림.svg"), json!("data:image/png;base64,AAAA")),
            ("stockPolicy", json!("reject"), json!("backorder")),
            ("stockPolicy", json!(null), json!("")),
            (
                "options",
                json!(vec![json!({}); OPTIONS_MAX]),
                json!(vec![json!({}); OPTIONS_MAX + 1]),
            ),
            (
                "options",
                option("o".repeat(OPTION_CHARS_MAX)),
                option("o".repeat(OPTION_CHARS_MAX + 1)),
            ),
            ("name", json!("two\nlines\tand a tab"), json!("a\u{0}b")),
            ("imageUrl", json!("/x"), json!("/x\ty")),
            ("options", option("a\nb".into()), option("a\u{7}b".into())),
            ("options", json!([]), json!("none")),
            ("options", json!([{"id": "4"}]), json!([4])),
        ];
        for (field, accepted, refused) in cases {
            assert_eq!(wrong(&body(field, accepted.clone())), [""; 0], "{field} {accepted}");
            assert_eq!(wrong(&body(field, refused.clone())), [field], "{field} {refused}");
        }
    }

    #[test]
    fn a_part_names_something_and_leaves_the_rest_as_it_was() {
        let product = Edit::whole(fields(&json!({"name": "X", "price": 1, "stock": 5})), &[])
            .expect("sound")
            .into_product();
        assert_eq!(product.policy, Policy::Cancel);
        assert!(Edit::part(fields(&json!({"colour": "red"}))).is_err());
        let part = Edit::part(fields(&json!({"stock": 7}))).expect("sound");
        let changed = part.laid_over(product.clone());
        assert_eq!(changed, Product { stock: 7, ..product.clone() });

        let whole = Edit::whole(fields(&json!({"name": "Y", "price": 2, "stock": 1})), &["stock"]);
        let replaced = whole.expect("sound").in_place_of(&changed);
        assert_eq!((replaced.name.as_str(), replaced.stock, replaced.version), ("Y", 1, 1));
        assert!(Edit::whole(fields(&json!({"name": "Y", "price": 2})), &["stock"]).is_err());
    }
}
