//! Taking an order: what is asked first, and the one transaction that takes it.
//!
//! The replica decides whether product has to be asked; everything that can refuse does so before
//! the transaction, which holds the order, its OrderPlaced, the remembered key and what product
//! answered, or none of them.

use chassis::http::fields::Fields;
use chassis::http::{Problem, Response};
use events::Cause;
use events::store::sqlite::Write;
use http::StatusCode;

use super::api::Server;
use super::decide::{Beginning, State, begin, is_refused};
use super::handlers::publish;
use super::purchase::{Purchase, Replica};
use super::stock_check::Answer;
use super::store::sqlite;
use super::wire;
use crate::Name;
use crate::condition::Conditions;
use crate::edge::{self, Call, ID_MAX, Refusal};
use crate::idempotency::store::sqlite as remembered;
use crate::idempotency::{self, Once, Remembered, Seen};

/// Pieces one order may have.
pub(super) const QUANTITY_MAX: u64 = 1_000;
/// The highest price that can be expected: as much as a row can hold.
const EXPECTED_PRICE_MAX: u64 = ID_MAX;
/// Characters a customer's id may have: as many as a username.
const CUSTOMER_ID_CHARS_MAX: usize = 255;
/// Characters a customer's name may have.
const CUSTOMER_NAME_CHARS_MAX: usize = 200;
/// Characters an address may have.
const CUSTOMER_ADDR_CHARS_MAX: usize = 500;

/// An order as it is asked for.
#[derive(Debug)]
pub(super) struct Command {
    product_id: u64,
    quantity: u64,
    /// What its customer has been shown as the price of one piece.
    expected_price: Option<u64>,
    customer_id: String,
    customer_name: String,
    customer_addr: String,
}

impl Command {
    /// Reads the body, and whose order it is: a token's subject orders for itself, an administrator
    /// and whoever needs no token for anybody.
    pub(super) fn read(mut fields: Fields, call: &Call) -> Result<Command, Problem> {
        fields.require("productId");
        let product_id = fields.whole("productId", 1..=ID_MAX);
        let quantity = quantity(&mut fields);
        let expected_price = fields.whole("expectedPrice", 0..=EXPECTED_PRICE_MAX);
        let customer_id = fields.text("customerId", CUSTOMER_ID_CHARS_MAX);
        let customer_name = fields.text("customerName", CUSTOMER_NAME_CHARS_MAX);
        let customer_addr = fields.text("customerAddr", CUSTOMER_ADDR_CHARS_MAX);
        fields.finish()?;
        let customer_id = customer_id.unwrap_or_else(|| call.subject().to_owned());
        if !call.sees(&customer_id) {
            return Err(Problem::forbidden("an order is placed for oneself"));
        }
        Ok(Command {
            product_id: product_id.unwrap_or_default(),
            quantity: quantity.unwrap_or_default(),
            expected_price,
            customer_id,
            customer_name: customer_name.unwrap_or_default(),
            customer_addr: customer_addr.unwrap_or_default(),
        })
    }

    /// 409 where one piece costs another `price` than its customer knows of.
    fn check_price(&self, price: u64) -> Result<(), Problem> {
        let Some(expected) = self.expected_price.filter(|expected| *expected != price) else {
            return Ok(());
        };
        let problem = Problem::new(StatusCode::CONFLICT, "price-changed", "The price has changed");
        let reason = format!("is {expected}, the price is {price}");
        let detail =
            format!("{expected} was expected, {price} would be charged; nothing was ordered");
        Err(problem.detail(detail).field("expectedPrice", reason, Some(price.into())))
    }

    fn of(self, product: Replica, correlation: String) -> Purchase {
        Purchase {
            id: 0,
            product_id: self.product_id,
            product_name: product.name,
            image_url: product.image_url,
            quantity: self.quantity,
            price: product.price,
            customer_id: self.customer_id,
            customer_name: self.customer_name,
            customer_addr: self.customer_addr,
            state: State::Pending,
            reason: None,
            delivered: false,
            sequence: 1,
            correlation,
        }
    }
}

/// `quantity`, or `qty` in its place; both only if they agree.
fn quantity(fields: &mut Fields) -> Option<u64> {
    let quantity = fields.whole("quantity", 1..=QUANTITY_MAX);
    let qty = fields.whole_as("qty", "quantity", 1..=QUANTITY_MAX);
    match (quantity, qty) {
        (Some(one), Some(other)) if one != other => {
            fields.note("quantity", "differs from qty", None);
        }
        _ if !fields.has("quantity") && !fields.has("qty") => {
            fields.note("quantity", "is missing", None);
        }
        _ => {}
    }
    quantity.or(qty)
}

/// Takes the order, or says why not.
pub(super) async fn place(
    server: &Server,
    call: &Call,
    command: Command,
    (conditions, body): (Conditions, &[u8]),
) -> Result<Response, Refusal> {
    let once = Once::of(&call.headers, call.subject(), "/orders", body)?;
    let claim = once.as_ref().map(|once| server.running.claim(&once.identity)).transpose()?;
    if let Some(once) = &once {
        let known: Result<_, Refusal> =
            server.database.read(|connection| Ok(remembered::recall(connection, &once.identity)?));
        match once.seen(known?) {
            Seen::Answered(known) => return Ok(known.into_response()),
            Seen::Spent => {
                conditions.check_collection()?;
                return Err(idempotency::spent().into());
            }
            Seen::Nothing => {}
        }
    }
    let offer = product(server, call, &command).await;
    if !offer.as_ref().is_err_and(Refusal::is_not_found) {
        conditions.check_collection()?;
    }
    let Offer { product, news } = offer?;
    command.check_price(product.price)?;
    let purchase = command.of(product, call.trace.id().to_owned());
    let cause = call.cause(None);
    let taken =
        server.database.write(move |write| take(write, purchase, news.as_ref(), once, &cause));
    let answer: Result<Remembered, Refusal> = taken.await;
    drop(claim);
    Ok(answer?.into_response())
}

/// A product as it is ordered.
struct Offer {
    product: Replica,
    /// What product answered, where it was asked.
    news: Option<Replica>,
}

/// The product as it is ordered, asked for where the replica cannot say.
async fn product(server: &Server, call: &Call, command: &Command) -> Result<Offer, Refusal> {
    let replica: Result<_, Refusal> =
        server.database.read(|connection| Ok(sqlite::replica(connection, command.product_id)?));
    let replica = replica?;
    match (begin(Replica::known(replica.as_ref())), replica) {
        (Beginning::Take, Some(product)) => return Ok(Offer { product, news: None }),
        (Beginning::Unknown, _) => return Err(Problem::not_found().into()),
        _ => {}
    }
    match server.stock_check.ask(command.product_id, &call.trace).await {
        Answer::Product(product) => checked(server, product, command).await,
        Answer::Unknown => Err(Problem::not_found().into()),
        Answer::Unavailable { retry_after, error } => {
            let detail = "whether the product is in stock cannot be asked just now";
            Err(Problem::unavailable(&error, retry_after).detail(detail).into())
        }
    }
}

async fn checked(server: &Server, product: Replica, command: &Command) -> Result<Offer, Refusal> {
    if !is_refused(product.asks_first(), product.stock, command.quantity) {
        return Ok(Offer { news: Some(product.clone()), product });
    }
    let stock = product.stock;
    let newest = server.database.write(move |write| sqlite::keep_newest(write.sql(), &product));
    newest.await?;
    let problem = Problem::new(StatusCode::CONFLICT, "out-of-stock", "Not enough in stock");
    let detail = format!("{} ordered, {stock} in stock", command.quantity);
    Err(problem.detail(detail).field("quantity", "exceeds the stock", Some(stock.into())).into())
}

fn take(
    write: &mut Write<'_>,
    mut purchase: Purchase,
    news: Option<&Replica>,
    once: Option<Once>,
    cause: &Cause,
) -> Result<Remembered, Refusal> {
    if let Some(once) = &once {
        match once.seen(remembered::recall(write.sql(), &once.identity)?) {
            Seen::Answered(before) => return Ok(before),
            Seen::Spent => return Err(idempotency::spent().into()),
            Seen::Nothing => {}
        }
    }
    if let Some(news) = news {
        sqlite::keep_newest(write.sql(), news)?;
    }
    purchase.id = sqlite::insert(write.sql(), &purchase)?;
    let sequence = publish(write, "OrderPlaced", &purchase, cause)?;
    let location = format!("/orders/{}", purchase.id);
    let position = edge::position(Name::Order, &purchase.id, sequence);
    let shown = wire::Order::shown(&purchase);
    let answer = Remembered::of(shown, location, position, once.as_ref());
    if let Some(once) = once {
        remembered::remember(write.sql(), &once, &answer)?;
    }
    Ok(answer)
}
