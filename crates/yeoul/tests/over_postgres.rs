//! The mall on PostgreSQL: the same services, views and sign-ins, and one line that names the store.
//!
//! Against a real server: `cargo xtask services install postgres`.

#[path = "../../events/tests/postgres/server.rs"]
#[allow(dead_code, reason = "the store's own tests use the rest")]
mod server;
#[path = "support/lib.rs"]
mod support;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use server::{Server, sql};
use support::{Folder, Mall, SOON, Sold, eventually, overlay, run, text, yeoul};

/// Three partitions, so that keys spread.
fn settings(folder: &Folder, address: &str) -> PathBuf {
    let settings =
        format!("store: \"{address}\"\nevents: {{ topics: {{ order: {{ partitions: 3 }} }} }}\n");
    overlay(folder.path(), "postgres.yaml", &settings)
}

#[test]
fn orders_pages_and_sign_ins_go_on_through_outages_of_store_and_mall() {
    let Some(folder) = Folder::owned() else { return };
    let mut server = Server::start();
    let settings = settings(&folder, &server.address());
    let arguments = ["--faults", "-c", text(&settings)];
    let mall = Mall::on(folder, &arguments);
    // A whole order, to the page that shows it as new as its own write.
    let Sold { who, product, placed } = mall.sold();
    let written = mall.order(&who, product, 1);
    let page = mall.page_with(&who, &written.position);
    assert_eq!(page["orders"][0]["orderId"], written.id, "{page}");
    mall.await_order(written.id, "OrderPlaced");

    // One that is cancelled gives back, one that there is too little for is over.
    let cancel = json!({"state": "OrderCancelled"});
    mall.call("PATCH", &format!("/orders/{}", placed.id))
        .bearer(&who.token)
        .json(&cancel)
        .send()
        .expect(200);
    mall.await_row(&who, placed.id, ("OrderCancelled", Some("DeliveryCancelled")));
    mall.await_stock(product, 99);
    let over = mall.order(&who, product, 100);
    mall.await_row(&who, over.id, ("OrderCancelled", None));
    mall.await_stock(product, 99);
    let asked = mall.product(3, "reject");
    let body = json!({"productId": asked, "quantity": 9, "customerName": "S", "customerAddr": "W"});
    assert_eq!(mall.ordering(&who, &body).send().status, 409);

    // The same key is the same order.
    let body =
        json!({"productId": product, "quantity": 1, "customerName": "S", "customerAddr": "W"});
    let once = || mall.ordering(&who, &body).header("Idempotency-Key", "k").send().expect(201);
    assert_eq!(once().value(), once().value());
    mall.await_caught_up();
    mall.await_stock(product, 98);

    // All of it is there, and none of it in the folder.
    let data = mall.folder().data();
    let schemas = "SELECT string_agg(DISTINCT table_schema, ' ' ORDER BY table_schema)
        FROM information_schema.tables WHERE table_schema NOT IN ('pg_catalog', 'information_schema')";
    let all = "account delivery gateway mypage order product";
    assert_eq!(sql(&server.address(), schemas).expect("schemas"), all);
    for service in ["order", "mypage"] {
        assert!(!data.join(service).exists(), "{service}");
    }
    assert!(!data.join("gateway/sessions.db").exists());
    let found = run(&["doctor", "--data", text(&data)]).expect(0).stdout;
    assert!(found.contains(&server.address()), "{found}");
    let told = "an acknowledged write is on the server's disk; a commit takes ";
    assert!(found.contains(&format!("ok    store: {told}")), "{found}");
    assert!(found.contains("services share it"), "{found}");
    assert!(mall.stderr().contains(told), "said at the start");
    assert_eq!(mall.at("admin", "GET", "/readyz").send().value()["store"]["onDisk"], true);
    let copy = mall.folder().path().join("copy");
    let refused = run(&["backup", text(&copy), "--data", text(&data)]).expect(3);
    assert!(refused.stderr.contains("pg_dump"), "{}", refused.stderr);
    assert!(!copy.exists(), "nothing is begun");

    // A log is one process's: whoever begins with another one on this store is refused, and nothing is done to it.
    let other = mall.folder().path().join("other");
    let start = ["mall", "--listen", "127.0.0.1:0", "-c", text(&settings), "--data", text(&other)];
    let refused = run(&start).expect(3);
    let says = "the store belongs to the log of another data folder";
    assert!(refused.stderr.contains(says), "{}", refused.stderr);
    assert!(refused.last_word().contains("kafka://"), "{}", refused.stderr);
    mall.await_caught_up();

    // A sign-out ends all of a sign-in, also where the process starts anew.
    let leaver = mall.customer();
    mall.get("/orders").bearer(&leaver.token).send().expect(200);
    mall.call("POST", "/oauth/revoke").form(&[("token", &leaver.token)]).send().expect(200);
    mall.get("/orders").bearer(&leaver.token).send().expect(401);

    // Both are gone at once, in the middle of something.
    let begun = mall.order(&who, product, 1);
    let folder = mall.kill();
    server.kill();
    server.start_again();
    let mall = Mall::on(folder, &arguments);
    mall.get("/orders").bearer(&leaver.token).send().expect(401);
    mall.await_order(begun.id, "OrderPlaced");
    mall.await_row(&who, begun.id, ("OrderPlaced", Some("DeliveryStarted")));
    mall.await_stock(product, 97);

    // A row that somebody holds and does not let go of is waited for, and not for ever.
    let held = mall.order(&who, product, 1);
    mall.await_row(&who, held.id, ("OrderPlaced", Some("DeliveryStarted")));
    let cancels = || {
        let call = mall.at("order", "PATCH", &format!("/orders/{}", held.id));
        call.bearer(&who.token).json(&cancel).send()
    };
    while_held(&server, held.id, || drop(cancels().refusal(503)));
    cancels().expect(200);
    mall.await_stock(product, 97);

    // While the store is away nothing is taken, and afterwards all goes on.
    server.kill();
    let refused = mall.ordering(&who, &body).send();
    assert_eq!(refused.status, 503, "{}", refused.text());
    server.start_again();
    let back = support::within(SOON, "it takes orders again", || {
        let answer = mall.ordering(&who, &body).send();
        (answer.status == 201).then(|| support::Placed::of(&answer))
    });
    mall.await_row(&who, back.id, ("OrderPlaced", Some("DeliveryStarted")));
    mall.await_caught_up();
    mall.await_stock(product, 96);
    assert_eq!(mall.dead(), Vec::<Value>::new());
    let (code, folder) = mall.stop_by("TERM", SOON);
    assert_eq!(code, 0);
    let data = folder.data();
    let found = run(&["doctor", "--data", text(&data)]).expect(0).stdout;
    assert!(found.contains(&server.address()) && !found.contains("holds nothing"), "{found}");

    // Its keys are told to whoever sealed them alone.
    let settings_file = text(&settings);
    let mut stranger = yeoul();
    stranger.args(["mall", "--listen", "127.0.0.1:0", "-c", settings_file, "--data", text(&data)]);
    let output = stranger.env("YEOUL_STORE_KEY", "8".repeat(64)).output().expect("it starts");
    let says = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = says.contains("sealed with another key") && says.contains("YEOUL_STORE_KEY");
    assert!(output.status.code() == Some(3) && told, "{says}");
    for key in ["account/signing.key", "account/refresh.key", "gateway/seal.key"] {
        assert!(!data.join(key).exists(), "{key}");
    }

    what_to_do_is_true(&server, &settings, &data);

    // State that is elsewhere is not left behind in silence.
    let start = ["mall", "--listen", "127.0.0.1:0", "--data", text(&data)];
    let refused = run(&start).expect(3);
    assert!(refused.last_word().contains(&server.address()), "{}", refused.stderr);
}

/// Another program has the row of this order locked meanwhile.
fn while_held(server: &Server, order: u64, meanwhile: impl FnOnce()) {
    let (own, held) = (server.address(), "SELECT pg_sleep(600)");
    let lock = format!("BEGIN; SELECT id FROM \"order\".orders WHERE id = {order} FOR UPDATE");
    let mut holder = server::psql(&own).args(["-c", &lock, "-c", held]).spawn().expect("psql runs");
    let its = format!("FROM pg_stat_activity WHERE query = '{held}'");
    eventually("it has the row", || {
        let count = sql(&own, &format!("SELECT count(*) {its}")).expect("a count");
        (count == "1").then_some(())
    });
    meanwhile();
    sql(&own, &format!("SELECT pg_terminate_backend(pid) {its}")).expect("it is ended");
    holder.wait().expect("psql ends");
}

/// A store that does not fit is refused with what helps there, and not with what helps where state is in files.
fn what_to_do_is_true(server: &Server, settings: &Path, data: &Path) {
    let own = server.address();
    let start = ["mall", "--listen", "127.0.0.1:0", "-c", text(settings), "--data", text(data)];
    let outbox = "\"order\".yeoul_outbox_topic SET partitions = ";
    let version = "\"order\".yeoul_version SET version = version";
    let outboxes = "WHERE tables = 'yeoul_outbox'";
    for (change, back, helps) in [
        (
            format!("{outbox}2"),
            format!("{outbox}3"),
            ["partitions: 2`", "yeoul_outbox_declare('order', 3)"],
        ),
        (format!("{outbox}4"), format!("{outbox}3"), ["set `events.", "partitions: 4`"]),
        (
            format!("{version} + 90"),
            format!("{version} - 90"),
            ["run the program that wrote it", "a later one"],
        ),
        (
            format!("{version} + 90 {outboxes}"),
            format!("{version} - 90 {outboxes}"),
            ["run the program that wrote it", "a later one"],
        ),
    ] {
        sql(&own, &format!("UPDATE {change}")).expect("changed");
        let refused = run(&start).expect(3);
        let says = refused.last_word();
        assert!(helps.iter().all(|it| says.contains(it)), "{change}: {}", refused.stderr);
        assert!(!says.contains("yeoul events partitions"), "{change}: of files alone: {says}");
        sql(&own, &format!("UPDATE {back}")).expect("changed back");
    }
    // The log is the folder's; its command is of folders whose state is in files.
    let more = "events: { topics: { order: { partitions: 5 } } }\n";
    let more = overlay(
        data.parent().expect("a folder"),
        "more.yaml",
        &format!("store: \"{own}\"\n{more}"),
    );
    let start = ["mall", "--listen", "127.0.0.1:0", "-c", text(&more), "--data", text(data)];
    let refused = run(&start).expect(3);
    let says = refused.last_word();
    let is_true = says.contains("partitions: 3`") && !says.contains("yeoul events partitions");
    assert!(is_true, "{}", refused.stderr);
}

#[test]
fn a_store_that_cannot_be_used_ends_the_start_and_names_what_helps() {
    let Some(folder) = Folder::owned() else { return };
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nobody = format!("postgres://shop@{}/shop", free.local_addr().expect("an address"));
    drop(free);
    let data = folder.data();
    let start = |store: &str| {
        let settings = settings(&folder, store);
        let mut command = yeoul();
        command.args(["mall", "--listen", "127.0.0.1:0", "-c", text(&settings)]);
        command.args(["--data", text(&data)]).env("YEOUL_STORE_PASSWORD", "a:secret@/");
        let output = command.output().expect("the program starts");
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!says.contains("secret"), "{says}");
        (output.status.code().unwrap_or(-1), says)
    };
    // Keys are sealed there by one of the environment; without it nothing is begun.
    for key in [None, Some("short")] {
        let settings = settings(&folder, &nobody);
        let mut command = yeoul();
        command.args(["mall", "-c", text(&settings), "--data", text(&data)]);
        match key {
            None => command.env_remove("YEOUL_STORE_KEY"),
            Some(key) => command.env("YEOUL_STORE_KEY", key),
        };
        let output = command.output().expect("the program starts");
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        let helps = says.contains("YEOUL_STORE_KEY") && says.contains("openssl rand -hex 32");
        assert!(output.status.code() == Some(1) && helps, "{says}");
        assert!(!data.exists(), "nothing was begun");
    }
    // Nobody is there.
    let (code, says) = start(&nobody);
    assert!(code == 3 && says.contains(&format!("store=`{nobody}`")), "{says}");
    // Somebody is, who does not know this database, or acknowledges what is not on disk.
    let server = Server::shared();
    let own = server.address();
    let (at, _) = own.rsplit_once('/').expect("a database");
    let (code, says) = start(&format!("{at}/nothing"));
    assert!(code == 3 && says.contains("database \"nothing\" does not exist"), "{says}");
    let lax = server.database("lax");
    let (_, name) = lax.rsplit_once('/').expect("a name");
    sql(&lax, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).expect("set");
    let (code, says) = start(&lax);
    assert!(code == 3 && says.contains("synchronous_commit is `off`"), "{says}");
    // What is wrong in the settings has its line.
    let (code, says) = start("postgres://shop:secret@127.0.0.1:5432/shop");
    let wrong = ["postgres.yaml:1", "YEOUL_STORE_PASSWORD"].map(|it| says.contains(it));
    assert!(code == 1 && wrong == [true; 2], "{says}");

    // State that is in files is not left behind in silence.
    drop(std::fs::remove_dir_all(&data));
    let mall = Mall::on(Folder::new(), &[]);
    let (_, rested) = mall.stop_by("TERM", SOON);
    let file = settings(&folder, &server.address());
    let data = rested.data();
    let start = ["mall", "--listen", "127.0.0.1:0", "--data", text(&data), "-c", text(&file)];
    let refused = run(&start).expect(3);
    assert!(refused.stderr.contains("in files of its own"), "{}", refused.stderr);
    assert!(refused.last_word().contains("store: sqlite"), "{}", refused.stderr);
}
