//! The outbox as a table: what a plain `INSERT` may say, where its row goes, and which number it has.

use std::process::Stdio;

use yeoul_events::event::{CAUSE_BYTES_MAX, KEY_BYTES_MAX};
use yeoul_events::store::{DATA_BYTES_MAX, outbox_schema};
use yeoul_events::{Declared, Partitions, Topic};

use super::server::{Server, program, psql, said, sql};
use super::session::Session;

/// Partitions of the topic of these tests.
const COUNT: u16 = 8;

/// Looks for a writer that waits for another one.
const LOOKS_MAX: usize = 10_000;

pub(super) fn declared(topic: &str, count: u16) -> Declared {
    let topic = Topic::parse(topic).expect("a topic");
    Declared { topic, partitions: Partitions::new(count).expect("a count") }
}

/// What the statements do in a database.
pub(super) fn make(address: &str, declared: &[Declared]) -> Result<String, String> {
    let mut command = psql(address);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("psql runs");
    let mut input = child.stdin.take().expect("piped");
    std::io::Write::write_all(&mut input, outbox_schema(declared).as_bytes()).expect("it reads");
    drop(input);
    said(&child.wait_with_output().expect("psql ends"))
}

/// A database with an outbox that knows `order`.
pub(super) fn outbox() -> String {
    let address = Server::shared().database("outbox");
    assert_eq!(make(&address, &[declared("order", COUNT)]), Ok(String::new()));
    address
}

fn insert(columns: &str, values: &str) -> String {
    format!("INSERT INTO yeoul_outbox ({columns}) VALUES ({values})")
}

fn plain(key: &str) -> String {
    insert("topic, key, type, data", &format!("'order', '{key}', 'OrderPlaced', '{{}}'"))
}

/// Where Kafka's rule and ours send a key.
fn partition(key: &str) -> u16 {
    Partitions::new(COUNT).expect("a count").of(key).index()
}

/// All that is in a database, line by line.
fn dump(address: &str) -> Vec<String> {
    let dump = std::process::Command::new(program("pg_dump")).args(["-d", address]).output();
    let text = said(&dump.expect("pg_dump runs")).expect("a dump");
    // Newer ones write a word that is drawn anew each time.
    let lines = text.lines().filter(|line| !line.starts_with("\\restrict"));
    let lines = lines.filter(|line| !line.starts_with("\\unrestrict"));
    lines.map(str::to_owned).collect()
}

/// An outbox as version 4 made it: what a row must be were checks of the table.
const OF_VERSION_4: &str =
    "ALTER TABLE yeoul_outbox ADD CHECK (number > 0), ADD CHECK (sequence >= 0),
        ADD CHECK (time >= '0001-01-01 00:00:00Z' AND time < '9999-01-01 00:00:00Z');
    UPDATE yeoul_version SET version = 4 WHERE tables = 'yeoul_outbox'";

/// An outbox as version 3 made it, without a note of epochs as versions before it were.
const OF_VERSION_3: &str = "ALTER TABLE yeoul_outbox DROP CONSTRAINT yeoul_outbox_id_key,
        ADD CONSTRAINT yeoul_outbox_id_key UNIQUE (id), ADD PRIMARY KEY (topic, partition, number);
    DROP INDEX yeoul_outbox_place;
    CREATE INDEX yeoul_outbox_place ON yeoul_outbox (topic, ((partition::BIGINT << 48) | number));
    ALTER TABLE yeoul_outbox_topic DROP COLUMN epoch;
    UPDATE yeoul_version SET version = 3 WHERE tables = 'yeoul_outbox'";

#[test]
fn an_outbox_of_an_earlier_version_becomes_what_a_new_one_is_and_keeps_its_rows() {
    let address = outbox();
    sql(&address, &plain("17")).expect("a row");
    let new = dump(&address);
    sql(&address, OF_VERSION_4).expect("as an earlier program left it");
    let checked = dump(&address);
    assert!(checked.iter().any(|line| line.contains("yeoul_outbox_sequence_check CHECK")));
    let index = || sql(&address, "SELECT 'yeoul_outbox_place'::REGCLASS::OID").expect("read");
    let before = index();
    make(&address, &[declared("order", COUNT)]).expect("again");
    assert_eq!(dump(&address), new);
    assert_eq!(index(), before, "no row is read: its index is the one of before");
    sql(&address, OF_VERSION_4).expect("as an earlier program left it");
    sql(&address, OF_VERSION_3).expect("as an earlier program left it");
    assert_ne!(dump(&address), checked);
    make(&address, &[declared("order", COUNT)]).expect("again");
    // The note of the newest epoch is one that the earlier one did not have.
    sql(&address, "UPDATE yeoul_outbox_topic SET epoch = 0").expect("as a new one has it");
    assert_eq!(dump(&address), new);
    let twice = "INSERT INTO yeoul_outbox (topic, partition, number, key, type, subject)
        SELECT topic, partition, number, key, type, subject FROM yeoul_outbox";
    assert!(sql(&address, twice).is_err_and(|why| why.contains("yeoul_outbox_place")));
}

#[test]
fn the_statements_run_again_change_nothing() {
    let address = outbox();
    sql(&address, &plain("17")).expect("a row");
    let before = dump(&address);
    make(&address, &[declared("order", COUNT)]).expect("again");
    let after = dump(&address);
    let changed: Vec<_> = before.iter().zip(&after).filter(|(was, is)| was != is).collect();
    assert_eq!((changed, after.len()), (vec![], before.len()));
    assert!(before.iter().any(|line| line.contains("OrderPlaced")), "the row is in it");
}

#[test]
fn a_check_of_the_owners_own_is_left_and_locks_nobody_out() {
    let address = outbox();
    let own = "ALTER TABLE yeoul_outbox ADD CONSTRAINT own CHECK (type <> 'Secret')";
    sql(&address, own).expect("its owner may");
    let mut open = Session::open(&address);
    open.ask("BEGIN").expect("begun");
    open.ask(&plain("17")).expect("a row");
    make(&address, &[declared("order", COUNT)]).expect("again, beside a transaction that is open");
    open.ask("COMMIT").expect("committed");
    let refused = sql(&address, &insert("topic, key, type", "'order', '1', 'Secret'"));
    assert!(refused.is_err_and(|why| why.contains("\"own\"")));
}

#[test]
fn the_statements_run_again_wait_for_no_writer_and_no_writer_for_them() {
    let address = outbox();
    let (mut open, mut other) = (Session::open(&address), Session::open(&address));
    open.ask("BEGIN").expect("begun");
    open.ask(&plain("17")).expect("a row");
    make(&address, &[declared("order", COUNT)]).expect("again, beside a transaction that is open");
    let elsewhere = (0..).map(|at| at.to_string()).find(|key| partition(key) != partition("17"));
    other.ask(&plain(&elsewhere.expect("a key"))).expect("a row");
    open.ask("COMMIT").expect("committed");
    assert_eq!(sql(&address, "SELECT count(*) FROM yeoul_outbox").expect("read"), "2");
}

#[test]
fn what_is_lacking_is_made_behind_a_writer_and_in_the_order_of_its_locks() {
    let address = outbox();
    sql(&address, OF_VERSION_3).expect("as an earlier program left it");
    let mut writer = Session::open(&address);
    writer.ask("BEGIN").expect("begun");
    // It has the rows, and not the topic yet.
    writer.ask("LOCK TABLE yeoul_outbox IN ROW EXCLUSIVE MODE").expect("locked");
    std::thread::scope(|scope| {
        let made = scope.spawn(|| make(&address, &[declared("order", COUNT)]));
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted
            AND relation = 'yeoul_outbox'::REGCLASS";
        let mut look = Session::open(&address);
        let looks = (0..LOOKS_MAX).find(|_| look.ask(waits).expect("read") == ["1"]);
        assert!(looks.is_some(), "it does not wait");
        writer.ask(&plain("17")).expect("a row");
        writer.ask("COMMIT").expect("committed");
        assert_eq!(made.join().expect("it ends"), Ok(String::new()));
    });
    // Before there was a note of it, an epoch may have been begun.
    sql(&address, "UPDATE yeoul_outbox_topic SET started = NULL").expect("as if started anew");
    sql(&address, &plain("17")).expect("a row");
    let epochs = "SELECT string_agg((number >> 32)::TEXT, ',' ORDER BY number) FROM yeoul_outbox";
    assert_eq!(sql(&address, epochs).expect("read"), "0,1");
}

/// Two who start at once on an outbox of an earlier version, beside one that is at work on it and has `held` of it.
fn made_twice_beside(held: &str) {
    let address = outbox();
    sql(&address, OF_VERSION_3).expect("as an earlier program left it");
    let mut writer = Session::open(&address);
    writer.ask("BEGIN").expect("begun");
    writer.ask(&format!("LOCK TABLE {held} MODE")).expect("locked");
    std::thread::scope(|scope| {
        let start = || scope.spawn(|| make(&address, &[declared("order", COUNT)]));
        let both = [start(), start()];
        // One waits for its turn, the other for what the writer has.
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted
            AND locktype IN ('advisory', 'relation')
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let mut look = Session::open(&address);
        let looks = (0..LOOKS_MAX).find(|_| look.ask(waits).expect("read") == ["2"]);
        assert!(looks.is_some(), "they do not wait");
        writer.ask(&plain("17")).expect("the other of both");
        writer.ask("COMMIT").expect("committed");
        for made in both {
            assert_eq!(made.join().expect("it ends"), Ok(String::new()), "{held}");
        }
    });
    let version = "SELECT version FROM yeoul_version WHERE tables = 'yeoul_outbox'";
    assert_eq!(sql(&address, version).expect("read"), "5");
    assert_eq!(sql(&address, "SELECT count(*) FROM yeoul_outbox").expect("read"), "1");
}

#[test]
fn two_that_make_what_is_lacking_and_a_writer_are_never_each_others_deadlock() {
    // As who inserts, and as `yeoul_publish` does.
    made_twice_beside("yeoul_outbox IN ROW EXCLUSIVE");
    made_twice_beside("yeoul_outbox_topic IN ACCESS SHARE");
}

/// While somebody keeps one of both, it is not waited for without an end, and nothing was changed.
#[test]
fn what_is_lacking_is_refused_where_a_writer_stands_still() {
    let address = outbox();
    sql(&address, OF_VERSION_3).expect("as an earlier program left it");
    let mut writer = Session::open(&address);
    writer.ask("BEGIN").expect("begun");
    writer.ask("LOCK TABLE yeoul_outbox_topic IN ACCESS SHARE MODE").expect("locked");
    let refused = make(&address, &[declared("order", COUNT)]);
    assert!(refused.is_err_and(|why| why.contains(" lock")));
    writer.ask("COMMIT").expect("committed");
    let version = "SELECT version FROM yeoul_version WHERE tables = 'yeoul_outbox'";
    assert_eq!(sql(&address, version).expect("read"), "3");
    assert_eq!(make(&address, &[declared("order", COUNT)]), Ok(String::new()));
}

#[test]
fn what_was_made_otherwise_is_refused_and_left_as_it_is() {
    let address = outbox();
    let refused = make(&address, &[declared("sooner", 1), declared("order", COUNT + 1)]);
    let words = "another number of partitions. topic=order, has=8, asked=9";
    assert!(refused.is_err_and(|why| why.contains(words)));
    let topics = sql(&address, "SELECT topic, partitions FROM yeoul_outbox_topic").expect("read");
    assert_eq!(topics, "order|8");
    sql(&address, "UPDATE yeoul_version SET version = version + 1")
        .expect("a newer program was here");
    assert!(make(&address, &[]).is_err_and(|why| why.contains("of a newer program")));
}

#[test]
fn what_is_committed_is_there_and_what_is_rolled_back_is_not() {
    let address = outbox();
    let statements = [
        format!("BEGIN; {}; COMMIT", plain("17")),
        format!("BEGIN; {}; ROLLBACK", plain("17")),
        format!("BEGIN; {}; {}; COMMIT", plain("17"), plain("17")),
    ];
    statements.iter().for_each(|one| assert_eq!(sql(&address, one), Ok(String::new()), "{one}"));
    let rows = "SELECT topic, partition, number, key, type, subject, sequence, data,
        substring(id::TEXT FROM 15 FOR 1), abs(extract(epoch FROM time - now())) < 600
        FROM yeoul_outbox ORDER BY number";
    // The second number was given and nobody will ever see it.
    let row = |number| format!("order|{}|{number}|17|OrderPlaced|17|0|{{}}|7|t", partition("17"));
    assert_eq!(sql(&address, rows).expect("read"), [1, 3, 4].map(row).join("\n"));
}

#[test]
fn a_key_goes_where_kafka_sends_it() {
    let address = outbox();
    let words =
        ["", "21", "foobar", "a-little-bit-longer-string", "abc", "여울", "🛶", "ab🛶", "é"];
    let keys =
        words.iter().map(|word| (*word).to_owned()).chain((0..400).map(|at| format!("k{at}")));
    let keys: Vec<String> = keys.collect();
    let rows: Vec<String> = keys.iter().map(|key| format!("('order', '{key}', 'T')")).collect();
    let insert = format!("INSERT INTO yeoul_outbox (topic, key, type) VALUES {}", rows.join(","));
    sql(&address, &insert).expect("rows");
    let read = sql(&address, "SELECT partition, key FROM yeoul_outbox").expect("read");
    let mut read: Vec<&str> = read.lines().collect();
    let wanted = keys.iter().map(|key| format!("{}|{key}", partition(key)));
    let mut wanted: Vec<String> = wanted.collect();
    read.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(read, wanted);
    // Of Kafka's own `UtilsTest.testMurmur2`, without their signs.
    let hashes = "SELECT yeoul_outbox_hash('21'), yeoul_outbox_hash('foobar'),
        yeoul_outbox_hash('a-little-bit-long-string'), yeoul_outbox_hash('abc')";
    let positive = |hash: i32| (hash & i32::MAX).to_string();
    let known = [-973_932_308, -790_332_482, -985_981_536, 479_470_107].map(positive);
    assert_eq!(sql(&address, hashes).expect("read"), known.join("|"));
}

#[test]
fn what_no_broker_would_take_is_refused_with_the_limit() {
    let address = outbox();
    let long = |letters: usize| format!("repeat('a', {letters})");
    let data = |bytes: usize| format!("'\"' || {} || '\"'", long(bytes - 2));
    for (column, at, past, limit) in [
        ("key", long(KEY_BYTES_MAX), long(KEY_BYTES_MAX + 1), KEY_BYTES_MAX),
        ("type", long(KEY_BYTES_MAX), long(KEY_BYTES_MAX + 1), KEY_BYTES_MAX),
        ("subject", long(KEY_BYTES_MAX), long(KEY_BYTES_MAX + 1), KEY_BYTES_MAX),
        ("correlation", long(CAUSE_BYTES_MAX), long(CAUSE_BYTES_MAX + 1), CAUSE_BYTES_MAX),
        ("causation", long(CAUSE_BYTES_MAX), long(CAUSE_BYTES_MAX + 1), CAUSE_BYTES_MAX),
        ("traceparent", long(CAUSE_BYTES_MAX), long(CAUSE_BYTES_MAX + 1), CAUSE_BYTES_MAX),
        ("data", data(DATA_BYTES_MAX), data(DATA_BYTES_MAX + 1), DATA_BYTES_MAX),
    ] {
        let row = |value: &str| {
            let others = [("key", "'1'"), ("type", "'T'")];
            let others: Vec<_> = others.into_iter().filter(|(name, _)| *name != column).collect();
            let names = others.iter().map(|(name, _)| *name).chain(["topic", column]);
            let values = others.iter().map(|(_, value)| *value).chain(["'order'", value]);
            insert(&names.collect::<Vec<_>>().join(","), &values.collect::<Vec<_>>().join(","))
        };
        assert_eq!(sql(&address, &row(&at)), Ok(String::new()), "{column}");
        let words = format!("{column} is too large. bytes={}, limit={limit}", limit + 1);
        let refused = sql(&address, &row(&past)).expect_err("too large");
        assert!(refused.contains(&words), "{refused}");
    }
}

#[test]
fn what_is_no_event_is_refused_in_words() {
    let address = outbox();
    let row = |topic: &str, key: &str, kind: &str, data: &str| {
        insert("topic, key, type, data", &format!("{topic}, {key}, {kind}, {data}"))
    };
    for (statement, words) in [
        (row("'ordr'", "'1'", "'T'", "'{}'"), "no such topic. topic=ordr"),
        (row("NULL", "'1'", "'T'", "'{}'"), "no such topic"),
        (row("'order'", "NULL", "'T'", "'{}'"), "column \"key\""),
        (row("'order'", "'1'", "NULL", "'{}'"), "column \"type\""),
        (row("'order'", "'1'", "'T'", "NULL"), "column \"data\""),
        (row("'order'", "'1'", "''", "'{}'"), "type is empty"),
        (row("'order'", "'1'", "'T'", "'{\"a\":'"), "data is not JSON"),
        (row("'order'", "'1'", "'T'", "''"), "data is not JSON"),
        (
            insert("topic, key, type, time", "'order', '1', 'T', 'infinity'"),
            "time is not in the years 1 to 9998. time=infinity",
        ),
        (
            insert("topic, key, type, time", "'order', '1', 'T', '9999-01-01 00:00:00Z'"),
            "time is not in the years 1 to 9998",
        ),
        (
            insert("topic, key, type, time", "'order', '1', 'T', '0001-01-01 00:00:00Z BC'"),
            "time is not in the years 1 to 9998",
        ),
        (insert("topic, key, type, time", "'order', '1', 'T', NULL"), "column \"time\""),
        (
            insert("topic, key, type, sequence", "'order', '1', 'T', -1"),
            "sequence is negative. sequence=-1",
        ),
        (insert("topic, key, type, sequence", "'order', '1', 'T', NULL"), "column \"sequence\""),
        (
            insert("topic, key, type, partition", "'order', '1', 'T', 8"),
            "no such partition. topic=order, partition=8, partitions=8",
        ),
        ("SELECT yeoul_outbox_declare('Order', 1)".to_owned(), "no name of a topic"),
        ("SELECT yeoul_outbox_declare('more', 129)".to_owned(), "1 to 128 partitions"),
    ] {
        let refused = sql(&address, &statement).expect_err(&statement);
        assert!(refused.contains(words), "{statement}: {refused}");
    }
    assert_eq!(sql(&address, "SELECT count(*) FROM yeoul_outbox").expect("read"), "0");
}

#[test]
fn a_commit_that_is_not_on_disk_publishes_nothing() {
    let address = outbox();
    for (level, taken) in [
        ("off", false),
        ("local", false),
        ("remote_write", false),
        ("on", true),
        ("remote_apply", true),
    ] {
        let set = format!("SET synchronous_commit = {level}");
        let told = psql(&address).args(["-c", &set, "-c", &plain("1")]).output();
        let told = said(&told.expect("psql runs"));
        assert_eq!(told.is_ok(), taken, "{level}: {told:?}");
        let words = format!("synchronous_commit={level}, least=on");
        assert!(taken || told.is_err_and(|why| why.contains(&words)), "{level}");
    }
}

#[test]
fn a_writer_inserts_and_does_nothing_else() {
    let address = outbox();
    let mut writer = Session::open(&address);
    writer.ask("SET ROLE yeoul_outbox_writer").expect("a role");
    writer.ask(&plain("1")).expect("a row");
    for statement in [
        "SELECT data FROM yeoul_outbox",
        "UPDATE yeoul_outbox SET data = '1'",
        "DELETE FROM yeoul_outbox",
        "TRUNCATE yeoul_outbox",
        "INSERT INTO yeoul_outbox (topic, partition, key, type) VALUES ('order', 1, '1', 'T')",
        "INSERT INTO yeoul_outbox (topic, number, key, type) VALUES ('order', 1, '1', 'T')",
        "INSERT INTO yeoul_outbox_topic (topic, partitions) VALUES ('mine', 1)",
        "SELECT yeoul_outbox_declare('mine', 1)",
        "SELECT nextval('yeoul_outbox_1_0')",
        "CREATE TABLE public.mine (n INT)",
    ] {
        assert_eq!(writer.ask(statement), Err("42501".to_owned()), "{statement}");
    }
    // What the trigger names cannot be put in its way.
    writer
        .ask("CREATE TEMP TABLE yeoul_outbox_topic (topic TEXT, id INT, partitions INT)")
        .expect("own");
    writer.ask("INSERT INTO yeoul_outbox_topic VALUES ('mine', 1, 1)").expect("own");
    writer.ask("SET search_path = pg_temp, public").expect("own");
    assert_eq!(
        writer.ask(&insert("topic, key, type", "'mine', '1', 'T'")),
        Err("23503".to_owned())
    );
    writer.ask(&plain("1")).expect("a row");
    assert_eq!(sql(&address, "SELECT count(*) FROM yeoul_outbox").expect("read"), "2");
}

#[test]
fn rows_that_bring_their_partition_are_numbered_there_in_one_statement() {
    let address = outbox();
    let rows = "INSERT INTO yeoul_outbox (topic, partition, key, type)
        SELECT 'order', p, k, 'T' FROM unnest(ARRAY[0, 0, 5, 7], ARRAY['a', 'b', 'c', 'd']) AS t(p, k)
        RETURNING partition, number, key";
    assert_eq!(sql(&address, rows).expect("rows"), "0|1|a\n0|2|b\n5|1|c\n7|1|d");
    // One that was numbered elsewhere keeps what it has.
    let kept = insert("topic, partition, number, key, type", "'order', 3, 41, 'e', 'T'");
    sql(&address, &kept).expect("a row");
    let read = sql(&address, "SELECT number FROM yeoul_outbox WHERE key = 'e'").expect("read");
    assert_eq!(read, "41");
}

#[test]
fn an_id_is_taken_once_and_later_ones_are_higher() {
    let address = outbox();
    sql(&address, &format!("{}; {}", plain("1"), plain("1"))).expect("rows");
    let ids = "SELECT array_agg(id ORDER BY id) = array_agg(id ORDER BY number), count(DISTINCT id)
        FROM (SELECT yeoul_outbox_id() AS id, number FROM generate_series(1, 3) AS number,
        LATERAL pg_sleep(0.002 + number * 0)) AS drawn";
    assert_eq!(sql(&address, ids).expect("read"), "t|3");
    let own = insert("topic, id, key, type", "'order', gen_random_uuid(), '1', 'T'");
    sql(&address, &own).expect("one's own");
    let again = "INSERT INTO yeoul_outbox (topic, id, key, type)
        SELECT topic, id, key, type FROM yeoul_outbox LIMIT 1";
    assert!(sql(&address, again).is_err_and(|why| why.contains("duplicate key")));
}

#[test]
fn a_number_waits_for_the_commit_of_the_one_before() {
    let address = outbox();
    let (mut first, mut second) = (Session::open(&address), Session::open(&address));
    let mut other = Session::open(&address);
    first.ask("BEGIN").expect("begun");
    first.ask(&plain("17")).expect("a row");
    // The same partition waits, another does not.
    second.say(&plain("17"));
    let elsewhere = (0..).map(|at| at.to_string()).find(|key| partition(key) != partition("17"));
    other.ask(&plain(&elsewhere.expect("a key"))).expect("a row");
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'
        AND datname = current_database()";
    let looks = (0..LOOKS_MAX).find(|_| other.ask(waiting).expect("read") == ["1"]);
    assert!(looks.is_some(), "it does not wait");
    let seen = format!("SELECT number FROM yeoul_outbox WHERE partition = {}", partition("17"));
    assert_eq!(
        other.ask(&seen).expect("read"),
        [""; 0],
        "neither is there before the lower one is"
    );
    first.ask("COMMIT").expect("committed");
    second.answer().expect("a row");
    assert_eq!(other.ask(&seen).expect("read"), ["1", "2"]);
}

#[test]
fn of_two_writers_that_cross_one_is_told_to_do_it_again() {
    let address = outbox();
    let key = |at: u16| (0..).map(|it| it.to_string()).find(|key| partition(key) == at);
    let (a, b) = (key(0).expect("a key"), key(1).expect("a key"));
    let (mut one, mut other) = (Session::open(&address), Session::open(&address));
    for (writer, key) in [(&mut one, &a), (&mut other, &b)] {
        writer.ask("BEGIN").expect("begun");
        writer.ask(&plain(key)).expect("a row");
    }
    one.say(&plain(&b));
    other.say(&plain(&a));
    let answers = [one.answer(), other.answer()];
    let told = |answer: &Result<Vec<String>, String>| answer.clone().err();
    let mut codes: Vec<String> = answers.iter().filter_map(told).collect();
    assert_eq!(codes.pop().as_deref(), Some("40P01"));
    assert_eq!(codes, [""; 0], "the other goes on");
    for writer in [&mut one, &mut other] {
        // What was ended is rolled back by this.
        writer.ask("COMMIT").expect("over");
    }
    assert_eq!(sql(&address, "SELECT count(*) FROM yeoul_outbox").expect("read"), "2");
}
