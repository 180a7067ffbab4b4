//! Waiting for a position, with real subscriptions on a real log, wherever the views are.

use std::sync::Arc;
use std::time::Duration;

use events::store::LeftOut;
use events::subscription::Received;
use events::{Broker, Event, Log, Numbered, Partition, Retry, Subscription, Topic, WritePosition};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use yeoul_views::{Views, WAITERS_MAX, Waited};

use crate::mall::{Mall, block_on, clock, delivery, event, order};

const SOON: Duration = Duration::from_millis(50);
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A mall whose `order` and `delivery` topics are folded by subscriptions that are running.
pub(crate) struct Running {
    pub(crate) mall: Mall,
    log: Arc<Log>,
    stop: watch::Sender<bool>,
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a topic")
}

fn left_out() -> Vec<LeftOut> {
    vec![LeftOut { partition: Partition::FIRST, numbers: 3..=1002 }]
}

fn at(source: &str, sequence: u64) -> WritePosition {
    WritePosition::new(source, sequence)
}

/// Where there may be other instances: who holds the lease folds, and what is folded is told from the store.
async fn take_part(views: Views, mut stopped: watch::Receiver<bool>) {
    let resting = watch::Sender::new(false).subscribe();
    let announced = views.database().announcements();
    tokio::select! {
        () = views.hold_fold(resting) => {}
        () = views.follow(Some(announced)) => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Has a mall run for a test.
fn running(test: impl AsyncFnOnce(Running)) {
    let mall = Mall::new();
    block_on(async { test(Running::start(mall).await).await });
}

impl Running {
    pub(crate) async fn start(mall: Mall) -> Running {
        let topics = ["order", "delivery"].map(topic);
        let log = Arc::new(Log::open(mall.folder.path(), &topics, clock()).expect("a log"));
        let (stop, stopped) = watch::channel(false);
        let stands_by = mall.views.stands_by();
        if stands_by.is_some() {
            tokio::spawn(take_part(mall.views.clone(), stopped.clone()));
        }
        for topic in topics {
            let broker: Arc<dyn Broker> = log.clone();
            let retry = Retry { attempts: 1, backoff: Duration::from_millis(1) };
            let database = mall.views.database().clone();
            let name = format!("mypage.{topic}");
            let fold = mall.views.fold();
            let mut subscription =
                Subscription::new(&name, topic, database, broker, fold, retry, clock());
            if let Some(stands_by) = &stands_by {
                subscription = subscription.paused(stands_by.clone());
            }
            mall.views.attach(subscription.control()).await;
            let mut stopped = stopped.clone();
            tokio::spawn(subscription.run(async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            }));
        }
        Running { mall, log, stop }
    }

    pub(crate) async fn publish(&self, events: Vec<Event>) {
        let topic = topic(&events[0].source);
        self.log.publish(&topic.first(), events).await.expect("published");
    }

    pub(crate) async fn wait(
        &self,
        source: &str,
        sequence: u64,
        at_most: Duration,
    ) -> Result<(), Waited> {
        self.mall.views.wait(&at(source, sequence), at_most).await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

#[test]
fn a_reader_who_waits_sees_what_was_written() {
    running(async |running| {
        assert_eq!(running.wait("order", 1, SOON).await, Err(Waited::TooLate));
        for id in 1..=20 {
            let (waiting, ()) = tokio::join!(
                running.wait("order", id, LONG),
                running.publish(vec![event("order", id, "OrderPlaced", order(id, "a@b", 1, 1))]),
            );
            assert_eq!(waiting, Ok(()));
            assert_eq!(running.mall.read("a@b").await["orders"][0]["orderId"], json!(id));
        }
    });
}

#[test]
fn an_event_without_a_rule_is_passed_and_counts_as_reached() {
    running(async |running| {
        running.publish(vec![event("order", 1, "SurveyCompleted", json!({"orderId": 1}))]).await;
        assert_eq!(running.wait("order", 1, LONG).await, Ok(()));
    });
}

#[test]
fn a_source_that_is_not_read_here_is_met_at_once() {
    running(async |running| {
        assert_eq!(running.wait("elsewhere", 9, LONG).await, Ok(()));
        running.mall.views.publisher("shop/order", &topic("order"));
        running.mall.views.publisher("shop/mail", &topic("mail"));
        assert_eq!(running.wait("shop/order", 1, SOON).await, Err(Waited::TooLate));
        assert_eq!(running.wait("shop/mail", 1, LONG).await, Ok(()));
    });
}

#[test]
fn a_parked_event_is_told_at_once_and_other_keys_go_on() {
    running(async |running| {
        let mut broken = order(1, "a@b", 1, 1);
        broken["price"] = json!(null);
        running
            .publish(vec![
                event("order", 1, "OrderPlaced", broken),
                event("order", 2, "OrderPlaced", order(2, "a@b", 1, 1)),
            ])
            .await;
        assert_eq!(running.wait("order", 2, LONG).await, Err(Waited::Parked));
        assert_eq!(running.wait("order", 1, LONG).await, Err(Waited::Parked));
        let views = &running.mall.views;
        assert_eq!(views.wait(&at("order", 2).for_key("1"), LONG).await, Err(Waited::Parked));
        assert_eq!(views.wait(&at("order", 2).for_key("2"), LONG).await, Ok(()), "another key");
        assert_eq!(running.mall.read("a@b").await["orders"][0]["orderId"], json!(2));
        running
            .publish(vec![event("delivery", 1, "DeliveryStarted", delivery(2, "DeliveryStarted"))])
            .await;
        assert_eq!(running.wait("delivery", 1, LONG).await, Ok(()), "another source");
    });
}

#[test]
fn what_was_reached_is_known_after_opening_again() {
    let mall = Mall::new();
    let running = block_on(async {
        let running = Running::start(mall).await;
        running.publish(vec![event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1))]).await;
        assert_eq!(running.wait("order", 1, LONG).await, Ok(()));
        running.stop.send_replace(true);
        running
    });
    let views = crate::mall::open(running.mall.folder.path(), &crate::mall::settings());
    block_on(async {
        assert_eq!(
            views.wait(&at("order", 1), SOON).await,
            Err(Waited::TooLate),
            "nobody attached"
        );
        let (database, broker) = (views.database().clone(), running.log.clone());
        let retry = Retry { attempts: 1, backoff: SOON };
        let fold = views.fold();
        let subscription = Subscription::new(
            "mypage.order",
            topic("order"),
            database,
            broker,
            fold,
            retry,
            clock(),
        );
        views.attach(subscription.control()).await;
        assert_eq!(views.wait(&at("order", 1), SOON).await, Ok(()));
    });
}

#[test]
fn as_many_wait_as_may_and_one_more_is_turned_away() {
    let mall = Mall::new();
    block_on(async {
        let mut waiting = JoinSet::new();
        for _ in 0..=WAITERS_MAX {
            let views = mall.views.clone();
            waiting.spawn(async move { views.wait(&at("order", 1), LONG).await });
        }
        let turned_away = waiting.join_next().await.expect("one past the limit");
        assert_eq!(turned_away.expect("no panic"), Err(Waited::Crowded));
        let elsewhere = mall.views.wait(&at("elsewhere", 1), LONG).await;
        assert_eq!(elsewhere, Ok(()), "nothing to wait for");
        let placed = event("order", 1, "OrderPlaced", order(1, "a@b", 1, 1));
        let batch = mall.fold(vec![placed]).await.expect("folded");
        events::Handler::committed(&mall.views.fold(), batch);
        let up_to = Numbered { partition: Partition::FIRST, number: 1 };
        let received = Received { source: "order".to_owned(), up_to };
        events::Handler::received(&mall.views.fold(), &[received]);
        for waited in waiting.join_all().await {
            assert_eq!(waited, Ok(()));
        }
        let again = mall.views.wait(&at("order", 2), SOON).await;
        assert_eq!(again, Err(Waited::TooLate), "there is room again");
    });
}

#[test]
fn a_write_that_a_restore_took_back_is_not_waited_for() {
    running(async |running| {
        let order = |id| event("order", id, "OrderPlaced", order(id, "a@b", 1, 1));
        running.publish(vec![order(1), order(2)]).await;
        assert_eq!(running.wait("order", 2, LONG).await, Ok(()));
        assert_eq!(running.wait("order", 3, SOON).await, Err(Waited::TooLate));
        running.mall.views.left_out("order", left_out());
        for gone in [3, 500, 1002] {
            assert_eq!(running.wait("order", gone, LONG).await, Ok(()), "{gone}");
        }
        assert_eq!(running.wait("order", 1003, SOON).await, Err(Waited::TooLate));
        assert_eq!(running.wait("delivery", 3, SOON).await, Err(Waited::TooLate));
        // What was there before has to be seen all the same.
        running.mall.views.left_out("delivery", left_out());
        assert_eq!(running.wait("delivery", 500, SOON).await, Err(Waited::TooLate));
    });
}
