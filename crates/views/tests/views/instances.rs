//! Several instances on one schema: one folds, the others see it, and one of them goes on where it ends.

use std::sync::Arc;
use std::time::Duration;

use events::store::{Announcements, Tx};
use events::subscription::Control;
use events::{
    Broker, Error, Event, Failure, Handler, Log, Retry, Subscription, Topic, WritePosition,
};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use yeoul_views::{Changes, Encoding, Page, Rendered, SILENT_MAX, Slice, Views, Waited};

use crate::mall::{clock, definitions, event, look, order, settings};
use crate::place::connect;
use crate::server::Server;

/// Ten times what a look may be late.
const SOON: Duration = Duration::from_millis(500);
/// Ten times what an instance that stands still may hold others up.
const LONG: Duration = Duration::from_secs(90);

/// A topic, and where its instances keep what they fold.
struct Shop {
    folder: tempfile::TempDir,
    address: String,
    log: Arc<Log>,
}

/// One process, as far as views are concerned.
struct Instance {
    views: Views,
    control: Control,
    subscription: Option<Subscription<yeoul_views::Fold>>,
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    resting: watch::Sender<bool>,
}

fn topic() -> Topic {
    Topic::parse("order").expect("a topic")
}

/// A clock that goes.
#[expect(clippy::disallowed_methods, reason = "it is what this is made of")]
fn moving() -> events::Clock {
    let started = tokio::time::Instant::now();
    Arc::new(move || clock()() + started.elapsed())
}

fn at(number: u64) -> WritePosition {
    WritePosition::new("order", number)
}

fn placed(id: u64, customer: &str) -> Event {
    event("order", id, "OrderPlaced", order(id, customer, 1, 1))
}

impl Shop {
    fn new() -> Shop {
        Shop::on(Server::shared().address())
    }

    fn on(address: String) -> Shop {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Log::open(folder.path(), &[topic()], clock()).expect("a log");
        Shop { folder, address, log: Arc::new(log) }
    }

    async fn publish(&self, events: Vec<Event>) {
        self.log.publish(&topic().first(), events).await.expect("published");
    }

    async fn open(&self, settings: &Value, clock: events::Clock) -> Views {
        let server = connect(self.folder.path(), self.address.clone());
        let opened = Views::connect(server, definitions(settings), look(), clock);
        opened.await.expect("views open")
    }

    /// One that knows the subscription and does not run it.
    async fn instance(&self) -> Instance {
        self.instance_by(clock()).await
    }

    /// The same, with a clock of its own.
    async fn instance_by(&self, clock_of_views: events::Clock) -> Instance {
        let views = self.open(&settings(), clock_of_views).await;
        let broker: Arc<dyn Broker> = self.log.clone();
        let retry = Retry { attempts: 1, backoff: Duration::from_millis(1) };
        let (database, fold) = (views.database().clone(), views.fold());
        let subscription =
            Subscription::new("mypage.order", topic(), database, broker, fold, retry, clock())
                .paused(views.stands_by().expect("there may be others"));
        let control = subscription.control();
        views.attach(control.clone()).await;
        let (tasks, stop) = (Vec::new(), watch::Sender::new(false));
        let resting = watch::Sender::new(false);
        Instance { views, control, subscription: Some(subscription), tasks, stop, resting }
    }

    async fn folding(&self) -> Instance {
        let mut instance = self.instance().await;
        instance.fold();
        instance
    }

    /// One that reads what others fold.
    async fn reading(&self) -> Instance {
        let mut instance = self.instance().await;
        let announced = instance.views.database().announcements();
        instance.follow(Some(announced));
        instance
    }
}

impl Instance {
    /// Runs the subscription wherever it holds the lease.
    fn fold(&mut self) {
        let mut stopped = self.stop.subscribe();
        let subscription = self.subscription.take().expect("it folds once");
        self.tasks.push(tokio::spawn(subscription.run(async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        })));
        self.hold();
    }

    fn hold(&mut self) {
        let views = self.views.clone();
        let resting = self.resting.subscribe();
        self.tasks.push(tokio::spawn(async move { views.hold_fold(resting).await }));
    }

    fn follow(&mut self, announced: Option<Announcements>) {
        let views = self.views.clone();
        self.tasks.push(tokio::spawn(async move { views.follow(announced).await }));
    }

    async fn holds(&self) {
        let mut stands_by = self.views.stands_by().expect("there may be others");
        let held = stands_by.wait_for(|stands_by| !stands_by);
        tokio::time::timeout(LONG, held).await.expect("it takes over").expect("it lives");
    }

    /// When whoever has the lease was last heard of, by the server's clock.
    async fn last_beat_ms(&self) -> i64 {
        self.number("SELECT (extract(epoch FROM beat) * 1000)::BIGINT FROM fold").await
    }

    async fn number(&self, select: &'static str) -> i64 {
        let read = self
            .views
            .database()
            .read(&(), |(), rows| Box::pin(rows.one::<i64, Error>(select, &[], |row| row.get(0))));
        read.await.expect("there is a lease")
    }

    /// As a kill does: nothing is given back.
    fn kill(self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    fn page(&self) -> Page {
        self.views.pages().next().expect("one page").clone()
    }

    /// What a browser is given, from the cache where it can be.
    async fn html(&self, owner: &str) -> Result<Arc<Rendered>, yeoul_views::Error> {
        let (page, locale) = (self.page(), self.views.usual_locale());
        self.views.html(&page, owner, locale, Encoding::Identity).await
    }

    /// What a reader is given, from the cache where it can be.
    async fn json(&self, owner: &str) -> Value {
        let page = self.page();
        let rendered = self.views.json(&page, owner, Encoding::Identity).await.expect("a page");
        serde_json::from_slice(&rendered.body).expect("JSON")
    }

    async fn orders(&self, owner: &str) -> Vec<u64> {
        let json = self.json(owner).await;
        let ids = json["orders"].as_array().expect("orders").iter();
        ids.map(|order| order["orderId"].as_u64().expect("an id")).collect()
    }

    async fn sees(&self, owner: &str, orders: &[u64]) {
        let seen = async {
            while self.orders(owner).await != orders {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, seen).await.unwrap_or_else(|_| panic!("{owner}: {orders:?}"));
    }

    /// Folds a batch by hand: tells when it is written, and commits once it may.
    fn batch(&self, events: Vec<Event>, commit: Arc<Hold>) -> JoinHandle<Result<(), Wrong>> {
        let given = (self.views.fold(), events, commit);
        let work = self
            .views
            .database()
            .write(given, |(fold, events, commit), tx| Box::pin(batch(fold, events, commit, tx)));
        tokio::spawn(work)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Between a batch's last statement and its COMMIT.
#[derive(Default)]
struct Hold {
    written: Notify,
    commit: Notify,
}

impl Hold {
    /// One that holds nothing up.
    fn none() -> Arc<Hold> {
        let hold = Arc::new(Hold::default());
        hold.commit.notify_one();
        hold
    }
}

#[derive(Debug)]
struct Wrong(String);

impl From<Error> for Wrong {
    fn from(error: Error) -> Wrong {
        Wrong(error.to_string())
    }
}

impl From<Failure> for Wrong {
    fn from(failure: Failure) -> Wrong {
        Wrong(format!("{failure:?}"))
    }
}

async fn batch(
    fold: &yeoul_views::Fold,
    events: &[Event],
    hold: &Hold,
    tx: &mut Tx<'_>,
) -> Result<(), Wrong> {
    let mut batch = yeoul_views::Batch::default();
    fold.begin(tx).await?;
    for event in events {
        fold.handle(&mut batch, tx, event).await?;
    }
    fold.flush(&mut batch, tx).await?;
    hold.written.notify_one();
    hold.commit.notified().await;
    Ok(())
}

#[tokio::test]
async fn one_folds_and_when_it_is_killed_another_goes_on_where_it_ended() {
    let shop = Shop::new();
    let first = shop.folding().await;
    first.holds().await;
    let mut second = shop.folding().await;
    let announced = second.views.database().announcements();
    second.follow(Some(announced));
    shop.publish((1..=30).map(|id| placed(id, "a@b")).collect()).await;
    assert_eq!(second.views.wait(&at(30), LONG).await, Ok(()));
    assert!(*second.views.stands_by().expect("there may be others").borrow());
    assert_eq!(second.orders("a@b").await.len(), 20);
    first.kill();
    shop.publish((31..=40).map(|id| placed(id, "a@b")).collect()).await;
    assert_eq!(second.views.wait(&at(40), LONG).await, Ok(()));
    assert_eq!(
        second
            .views
            .page(&second.page(), "a@b", Slice { page: 0, size: 100 })
            .await
            .expect("a page")
            .json["orders"]
            .as_array()
            .expect("orders")
            .len(),
        40
    );
    assert_eq!(second.control.status().await.expect("a status").stuck, None);
}

#[tokio::test]
async fn who_gives_it_back_is_followed_without_a_silence() {
    let shop = Shop::new();
    let (mut first, mut second) = (shop.instance().await, shop.instance().await);
    first.hold();
    first.holds().await;
    second.hold();
    first.tasks.drain(..).for_each(|task| task.abort());
    first.views.let_fold_go().await.expect("given back");
    assert!(*first.views.stands_by().expect("there may be others").borrow());
    let is_free = "SELECT CAST(beat = '-infinity' OR fence > 1 AS INTEGER) FROM fold";
    assert_eq!(second.number(is_free).await, 1, "whoever asks next has it, and need not wait");
    second.holds().await;
    let refused = first.batch(vec![placed(1, "a@b")], Hold::none()).await.expect("no panic");
    assert!(refused.expect_err("it holds nothing").0.contains("another instance folds"));
}

#[tokio::test]
async fn where_nobody_folds_pages_say_since_when_until_somebody_does() {
    let shop = Shop::new();
    let mut folds = shop.instance().await;
    folds.hold();
    folds.holds().await;
    let now = moving();
    let mut reader = shop.instance_by(now.clone()).await;
    reader.follow(None);
    let stale = || reader.views.stale_since(&reader.page(), None);
    let is_stale = async |expected: bool| {
        let seen = async {
            while stale().is_some() != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let says = || panic!("stale is not {expected}: {:?}", reader.views.staleness());
        tokio::time::timeout(LONG, seen).await.unwrap_or_else(|_| says());
    };
    let before = now();
    folds.resting.send_replace(true);
    is_stale(true).await;
    let reasons = reader.views.staleness();
    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert_eq!(reasons[0].why, "nobody folds the views");
    let early = before - 2 * SILENT_MAX;
    assert!((early..now()).contains(&reasons[0].since), "{reasons:?}");
    // Also where it was not given back: this one is killed.
    folds.resting.send_replace(false);
    folds.holds().await;
    is_stale(false).await;
    folds.kill();
    is_stale(true).await;
    let mut another = shop.instance().await;
    another.hold();
    is_stale(false).await;
    assert_eq!(reader.views.staleness(), []);
}

/// Each statement takes a connection of the pages for so long.
const CROWD: &str = "SELECT 1::BIGINT FROM pg_sleep(5)";

#[tokio::test]
async fn a_crowd_that_reads_pages_keeps_nobody_from_seeing_what_is_folded() {
    let shop = Shop::new();
    let mut folds = shop.instance().await;
    folds.hold();
    folds.holds().await;
    let mut reader = shop.instance_by(moving()).await;
    reader.follow(None);
    folds.batch(vec![placed(1, "a@b")], Hold::none()).await.expect("no panic").expect("committed");
    reader.sees("a@b", &[1]).await;
    // More than there are connections, in both: of the one that sees and of the one that says that it is there.
    let crowd =
        async { tokio::join!(reader.number(CROWD), reader.number(CROWD), reader.number(CROWD)) };
    let other =
        async { tokio::join!(folds.number(CROWD), folds.number(CROWD), folds.number(CROWD)) };
    let watched = async {
        loop {
            assert_eq!(
                reader.views.staleness(),
                [],
                "it sees what is folded, and that somebody folds"
            );
            assert!(!*folds.views.stands_by().expect("there may be others").borrow());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        _ = async { tokio::join!(crowd, other) } => {}
        () = watched => {}
    }
    reader.sees("a@b", &[1]).await;
}

#[tokio::test]
async fn one_that_stands_still_before_its_commit_is_followed_and_commits_nothing_when_it_wakes() {
    let shop = Shop::new();
    let mut still = shop.instance().await;
    still.hold();
    still.holds().await;
    let hold = Arc::new(Hold::default());
    let stopped = still.batch(vec![placed(7, "still@b")], hold.clone());
    hold.written.notified().await;
    // From here on it does nothing, and its connection stays open.
    still.tasks.drain(..).for_each(|task| task.abort());
    let last_beat = still.last_beat_ms().await;
    let mut second = shop.folding().await;
    let announced = second.views.database().announcements();
    second.follow(Some(announced));
    second.holds().await;
    let silence = second.last_beat_ms().await - last_beat;
    assert!(silence >= SILENT_MAX.as_millis() as i64, "the other one had the lease: {silence} ms");
    shop.publish(vec![placed(1, "a@b")]).await;
    assert_eq!(second.views.wait(&at(1), LONG).await, Ok(()));
    hold.commit.notify_one();
    stopped.await.expect("no panic").expect_err("its transaction is over");
    // And one that wakes before its batch begins.
    let late = still.batch(vec![placed(8, "still@b")], Hold::none()).await.expect("no panic");
    assert!(late.expect_err("it was followed").0.contains("another instance folds"));
    assert_eq!(second.orders("still@b").await, [0; 0]);
    assert_eq!(second.orders("a@b").await, [1]);
    // It finds out by itself, and stands by.
    still.hold();
    let mut stands_by = still.views.stands_by().expect("there may be others");
    let lost = stands_by.wait_for(|stands_by| *stands_by);
    tokio::time::timeout(LONG, lost).await.expect("it finds out").expect("it lives");
}

/// Each write is waited for by several readers elsewhere, and none of them is shown a page from before it.
async fn is_never_older_than_what_was_waited_for(announces: bool) {
    let shop = Shop::new();
    let (first, mut reader) = (shop.folding().await, shop.instance().await);
    let announced = announces.then(|| reader.views.database().announcements());
    reader.follow(announced);
    first.holds().await;
    for id in 1..=40 {
        shop.publish(vec![placed(id, "a@b")]).await;
        assert_eq!(first.views.wait(&at(id), LONG).await, Ok(()));
        let reads = async || {
            let waited = reader.views.wait_page(&reader.page(), &at(id), SOON).await;
            (waited, reader.orders("a@b").await[0])
        };
        let (one, other) = tokio::join!(reads(), reads());
        assert_eq!((one, other), ((Ok(()), id), (Ok(()), id)));
    }
}

#[tokio::test]
async fn what_another_instance_folds_is_seen_as_soon_as_it_is_announced() {
    is_never_older_than_what_was_waited_for(true).await;
}

#[tokio::test]
async fn what_is_not_announced_is_seen_by_a_look_now_and_then() {
    is_never_older_than_what_was_waited_for(false).await;
}

#[tokio::test]
async fn a_page_is_invalidated_also_where_nobody_waits_and_live_pages_get_the_change() {
    let shop = Shop::new();
    let (first, reader) = (shop.folding().await, shop.reading().await);
    first.holds().await;
    let page = reader.page();
    assert_eq!(reader.orders("a@b").await, [0; 0]);
    let shown = reader.views.page(&page, "a@b", Slice::first(1)).await.expect("a page");
    let mut watched = reader.views.watch(&page, "a@b");
    shop.publish(vec![placed(1, "a@b"), placed(2, "other@b")]).await;
    let change = async {
        loop {
            watched.changed().await;
            let changes = reader.views.changes(&page, "a@b", &shown.position, 10).await;
            match changes.expect("a read") {
                Changes::Some(changes) if changes.is_empty() => {}
                Changes::Some(changes) => return changes,
                Changes::TooOld => panic!("the feed is one"),
            }
        }
    };
    let changes = tokio::time::timeout(LONG, change).await.expect("a change");
    let told: Vec<_> = changes.iter().map(|it| (it.kind.as_str(), &it.row["orderId"])).collect();
    assert_eq!(told, [("order", &json!(1))]);
    reader.sees("a@b", &[1]).await;
    reader.sees("other@b", &[2]).await;
}

#[tokio::test]
async fn a_batch_that_changed_too_many_pages_to_name_them_changed_anybodys() {
    let shop = Shop::new();
    let (mut first, reader) = (shop.instance().await, shop.reading().await);
    first.hold();
    first.holds().await;
    assert_eq!(reader.orders("1@b").await, [0; 0]);
    let many = yeoul_views::TOUCHED_MAX as u64 + 1;
    let orders = (1..=many).map(|id| placed(id, &format!("{id}@b"))).collect();
    first.batch(orders, Hold::none()).await.expect("no panic").expect("committed");
    reader.sees("1@b", &[1]).await;
    reader.sees(&format!("{many}@b"), &[many]).await;
}

#[tokio::test]
async fn while_the_marks_cannot_be_read_nobody_new_is_let_go_and_pages_say_so() {
    let mut server = Server::start();
    let shop = Shop::on(server.address());
    let (first, reader) = (shop.folding().await, shop.reading().await);
    first.holds().await;
    shop.publish(vec![placed(1, "a@b")]).await;
    assert_eq!(reader.views.wait(&at(1), LONG).await, Ok(()));
    assert_eq!(reader.views.stale_since(&reader.page(), None), None);
    let shown = reader.html("a@b").await.expect("a page");
    server.kill();
    shop.publish(vec![placed(2, "a@b")]).await;
    let told = async || reader.views.wait(&at(2), LONG).await;
    assert_eq!(told().await, Err(Waited::Unreachable));
    assert_eq!(told().await, Err(Waited::Unreachable), "at once");
    assert_eq!(reader.views.stale_since(&reader.page(), None), Some(clock()()));
    // What was reached may have a parked event before it: that cannot be read either, and is said as it is.
    assert_eq!(reader.views.wait(&at(1), Duration::ZERO).await, Err(Waited::Unreachable));
    assert_eq!(reader.html("a@b").await.expect("the page of before").body, shown.body);
    reader.html("other@b").await.expect_err("nobody has seen it yet");
    server.start_again();
    let known = async {
        while told().await == Err(Waited::Unreachable) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, known).await.expect("it is known again");
    assert_eq!(told().await, Ok(()));
    reader.sees("a@b", &[2, 1]).await;
    assert_eq!(reader.views.stale_since(&reader.page(), None), None);
}

#[tokio::test]
async fn under_other_definitions_whoever_folded_by_the_old_ones_commits_nothing_and_shows_it() {
    let shop = Shop::new();
    let (mut old, mut reader) = (shop.instance().await, shop.reading().await);
    old.hold();
    old.holds().await;
    old.batch(vec![placed(1, "a@b")], Hold::none()).await.expect("no panic").expect("committed");
    reader.sees("a@b", &[1]).await;
    let mut other = settings();
    other["views"]["orders"]["on"]["OrderPlaced"]["create"]["quantity"] = json!("1");
    // A feed is called after the time at which it began.
    let later: events::Clock = Arc::new(|| clock()() + Duration::from_secs(1));
    // Who only reads takes nobody's rows away.
    let server = connect(shop.folder.path(), shop.address.clone());
    let only_reads = yeoul_views::Server { folds: false, ..server };
    let refused = Views::connect(only_reads, definitions(&other), look(), later.clone()).await;
    let refused = refused.err().expect("of other definitions");
    assert!(refused.to_string().contains("under other definitions"), "{refused}");
    reader.sees("a@b", &[1]).await;
    let new = shop.open(&other, later).await;
    let refused = old.batch(vec![placed(2, "a@b")], Hold::none()).await.expect("no panic");
    refused.expect_err("its rows are gone");
    let unreachable =
        async { while reader.views.wait(&at(9), SOON).await != Err(Waited::Unreachable) {} };
    tokio::time::timeout(LONG, unreachable).await.expect("it is told");
    reader.tasks.drain(..).for_each(|task| task.abort());
    let held = async { tokio::join!(new.hold_fold(watch::channel(false).1), async {}) };
    let mut stands_by = new.stands_by().expect("there may be others");
    tokio::select! {
        _ = held => unreachable!("it never resolves"),
        held = stands_by.wait_for(|stands_by| !stands_by) => drop(held.expect("it lives")),
        () = tokio::time::sleep(LONG) => panic!("the new one folds"),
    }
}
