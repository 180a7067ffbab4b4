//! Broker and store away at once under load, standing still and killed: orders are refused in words or taken, and with
//! both of them back all is whole by itself.
//!
//! What the load is answered says nothing of the refusal: who orders waits for a connection for as long as the store
//! takes to come back, or longer. So one more orders while both are surely away, and they stay so until it is answered.
//!
//! `YEOUL_BOTH_AWAY` sets for how many seconds they are away (3).

use std::time::Duration;

use serde_json::Value;

use super::killed::{taken, under_load};
use super::support::books;
use super::support::{Customer, Mall, Random, pause, setting, timed, within};
use super::{Cluster, GONE_ON_BY, Server, TWINS, postgres};

/// For how many seconds both are away, where nothing else is set.
const AWAY_S: u64 = 3;
/// How long there is load before and after it.
const LOAD: Duration = Duration::from_secs(1);
/// What is answered meanwhile: not now, or not in time.
const REFUSALS: [u16; 2] = [503, 504];
/// For so long the gateway waits for a service, which knows sooner that its store is away: it waits five seconds for a
/// connection, and as long for a word on it.
const REFUSED_BY: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum Away {
    /// They stand still, with every connection open.
    Still,
    Killed,
}

/// The broker of a cluster, and its store.
struct Both<'a> {
    kafka: &'a mut Server,
    store: &'a mut postgres::Server,
}

impl Both<'_> {
    fn go(&mut self, how: Away) {
        match how {
            Away::Still => {
                self.kafka.signal("-STOP");
                self.store.signal("-STOP");
            }
            Away::Killed => {
                self.kafka.kill();
                self.store.kill();
            }
        }
    }

    fn come_back(&mut self, how: Away) {
        match how {
            Away::Still => {
                self.store.signal("-CONT");
                self.kafka.signal("-CONT");
            }
            Away::Killed => {
                self.store.start_again();
                self.kafka.start_again();
            }
        }
    }
}

#[test]
fn with_broker_and_store_away_at_once_nothing_is_lost_and_all_is_whole_by_itself_once_they_are_back()
 {
    let mut random = Random::announced();
    let away: u64 = setting("YEOUL_BOTH_AWAY")
        .map_or(AWAY_S, |text| text.parse().expect("YEOUL_BOTH_AWAY is a whole number"));
    let (mut kafka, mut store) = (Server::start(), postgres::Server::start());
    let address = store.database("mall");
    let Some(cluster) = Cluster::start_on(&kafka.address(), Some(address), &TWINS) else { return };
    let mall = cluster.mall();
    let shelves = books::shelves(&mall);
    let mut clients = books::clients(&mall, &mut random, &REFUSALS);
    let (who, product) = (mall.customer(), mall.product(100, "cancel"));
    for how in [Away::Still, Away::Killed] {
        let (before, refused) = (taken(&clients), refused(&clients));
        let mut both = Both { kafka: &mut kafka, store: &mut store };
        under_load(&mall, &mut clients, &shelves, || {
            pause(LOAD);
            both.go(how);
            pause(Duration::from_secs(away));
            let took = is_refused(&mall, &who, product);
            eprintln!("{how:?}: an order is refused after {took:?}");
            both.come_back(how);
            pause(LOAD);
        });
        let refused = self::refused(&clients) - refused;
        let orders = taken(&clients) - before;
        assert!(orders > 0, "{how:?}: there was load");
        // Nobody but the parts themselves does anything for it.
        let (took, ()) = timed(|| {
            within(GONE_ON_BY, "an order is taken and delivered", || {
                let body = serde_json::json!({"productId": product, "quantity": 1});
                let answer = mall.ordering(&who, &body).send();
                (answer.status == 201).then_some(())
            });
            within(GONE_ON_BY, "all has come to rest", || cluster.is_calm().then_some(()));
            cluster.await_calm(&mall);
        });
        eprintln!("{how:?}: {orders} orders taken, {refused} refused; whole after {took:?}");
        books::balance(&mall, &clients, &shelves);
    }
    for instance in cluster.parts.keys() {
        assert_eq!(cluster.admin(instance, "/admin/dead"), Value::Array(Vec::new()), "{instance}");
        // A group that has not said yet who reads what is no reason for an order to wait, and is one for this.
        within(GONE_ON_BY, "each is ready again", || {
            let answer = cluster.asked(instance, "/readyz");
            (answer.status == 200).then_some(())
        });
    }
}

/// Without a store no order is taken, and who orders is told so in time; how long that took.
fn is_refused(mall: &Mall, who: &Customer, product: u64) -> Duration {
    let body = serde_json::json!({"productId": product, "quantity": 1});
    let answer = mall.ordering(who, &body).send();
    assert!(REFUSALS.contains(&answer.status), "{}: {}", answer.status, answer.text());
    answer.refusal(answer.status);
    assert!(answer.took < REFUSED_BY, "refused after {:?}", answer.took);
    answer.took
}

/// Orders that were not taken.
fn refused(clients: &[books::Client]) -> u64 {
    clients.iter().map(|client| client.book.refused).sum()
}
