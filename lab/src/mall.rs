//! What the benches ask of a running mall, as a client of its gateway.

use std::time::Duration;

use serde_json::{Value, json};

use crate::clock;
use crate::error::{Error, environment};
use crate::http::{Answer, Request};

/// Laid over the mall's settings: the limits stay on, above any load that a machine makes.
pub(crate) const LIMITS_ABOVE_THE_LOAD: &str = include_str!("../peers/mall.yaml");

/// How long anything may take to come through.
const AT_MOST: Duration = Duration::from_secs(30);
/// Between two looks: what they cost is counted with what they look at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A mall behind its gateway.
pub(crate) struct Mall {
    gateway: String,
    administrator: String,
}

impl Mall {
    /// Signs the administrator in.
    pub(crate) fn open(gateway: &str) -> Result<Mall, Error> {
        let administrator = sign_in(gateway, "admin@uengine.org", "admin")?;
        Ok(Mall { gateway: gateway.to_owned(), administrator })
    }

    /// A token for one of the demo's customers.
    pub(crate) fn customer(&self) -> Result<Customer, Error> {
        self.customer_named("1@uengine.org", "1")
    }

    /// A token for this customer.
    pub(crate) fn customer_named(
        &self,
        name: &'static str,
        password: &str,
    ) -> Result<Customer, Error> {
        Ok(Customer { name, token: sign_in(&self.gateway, name, password)? })
    }

    /// `host:port` of its gateway.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Registers a product with this stock; its id.
    pub(crate) fn register(&self, stock: u64) -> Result<u64, Error> {
        let product =
            json!({"name": "LAMP", "price": 10_000, "stock": stock, "stockPolicy": "cancel"});
        let request = Request::new("POST", &self.gateway, "/products").bearer(&self.administrator);
        let answer = expect(&request.json(&product), 201)?;
        let id = number(&answer, &["id"])?;
        self.wait_for(
            || self.get(&format!("/products/{id}")).is_ok().then_some(()),
            "the product",
        )?;
        Ok(id)
    }

    /// A product's stock now.
    pub(crate) fn stock(&self, product: u64) -> Result<u64, Error> {
        number(&self.get(&format!("/products/{product}"))?, &["stock"])
    }

    /// How many orders there are.
    pub(crate) fn orders(&self) -> Result<u64, Error> {
        number(&self.get("/orders?size=1")?, &["page", "totalElements"])
    }

    /// An order for one piece, ready to be repeated.
    pub(crate) fn order(&self, customer: &Customer, product: u64) -> Request {
        Request::new("POST", &self.gateway, "/orders")
            .bearer(&customer.token)
            .json(&json!({"productId": product, "quantity": 1}))
    }

    /// A customer's page as people see it.
    pub(crate) fn page(&self, customer: &Customer) -> Request {
        Request::new("GET", &self.gateway, &format!("/mypages/{}", customer.name))
            .bearer(&customer.token)
            .header("Accept", "text/html")
            .header("Accept-Language", "en")
    }

    /// Waits until `look` sees something.
    pub(crate) fn wait_for<T>(
        &self,
        look: impl FnMut() -> Option<T>,
        what: &str,
    ) -> Result<T, Error> {
        clock::wait_looking(LOOK_EVERY, AT_MOST, look).ok_or_else(|| {
            environment(format!("the mall does not get there in {AT_MOST:?}: {what}"))
        })
    }

    /// What an administrator reads there.
    pub(crate) fn get(&self, path: &str) -> Result<Answer, Error> {
        expect(&Request::new("GET", &self.gateway, path).bearer(&self.administrator), 200)
    }
}

/// A signed-in customer.
pub(crate) struct Customer {
    pub(crate) name: &'static str,
    pub(crate) token: String,
}

/// Sends a request that must be answered so.
pub(crate) fn expect(request: &Request, status: u16) -> Result<Answer, Error> {
    let answer = request.send()?;
    if answer.status == status {
        return Ok(answer);
    }
    Err(environment(format!(
        "the mall answers otherwise than it promises. request=`{} {}`, status=`{}`, expected=`{status}`, body=`{}`",
        request.method,
        request.path,
        answer.status,
        String::from_utf8_lossy(&answer.body)
    )))
}

fn sign_in(gateway: &str, name: &str, password: &str) -> Result<String, Error> {
    let form = format!("grant_type=password&username={name}&password={password}");
    let answer = expect(&Request::new("POST", gateway, "/oauth/token").form(&form), 200)?;
    let token = answer.json()["access_token"].as_str().map(str::to_owned);
    token.ok_or_else(|| environment("the mall signs in without a token"))
}

fn number(answer: &Answer, path: &[&str]) -> Result<u64, Error> {
    let body = answer.json();
    let value = path.iter().fold(&body, |value: &Value, name| &value[*name]);
    value.as_u64().ok_or_else(|| {
        environment(format!("no whole number there. path=`{path:?}`, body=`{body}`"))
    })
}
