//! One example at work: its database, `yeoul serve` beside it, the service and the worker, each a process of its own.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::languages::{Language, examples};
use super::postgres::{Server, said, sql};
use super::support::{Call, Folder, Started, eventually, overlay, run, text, within, yeoul};

/// Another key than the service's.
pub(crate) const OTHER_SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
/// What a start of an unoptimised runtime may take on a machine that has much to do.
const START_AT_MOST: Duration = Duration::from_secs(100);
/// Below those that systems give to connections: while a process is away nobody gets its port.
const PORTS_FROM: u16 = 20_000;

/// Where each of them is.
pub(crate) struct Addresses {
    pub(crate) database: String,
    pub(crate) service: u16,
    gateway: u16,
    admin: u16,
    inner: u16,
}

impl Addresses {
    pub(crate) fn inner_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.inner)
    }
}

/// A process of an example, killed when dropped; then also says what it said, where its test failed.
struct Part {
    child: Child,
    words: PathBuf,
}

impl Part {
    fn start(mut command: Command, words: PathBuf) -> Part {
        let file = File::options().create(true).append(true).open(&words).expect("a file");
        let errors = file.try_clone().expect("a file");
        command.stdin(Stdio::null()).stdout(file).stderr(errors);
        Part { child: command.spawn().expect("it starts"), words }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let words = fs::read_to_string(&self.words).unwrap_or_default();
            eprintln!("{}:\n{words}", self.words.display());
        }
    }
}

pub(crate) struct Site {
    language: Language,
    at: Addresses,
    settings: PathBuf,
    admin: String,
    yeoul: Option<Started>,
    service: Option<Part>,
    worker: Option<Part>,
    folder: Folder,
}

impl Site {
    /// With its tables and its settings; nothing runs.
    pub(crate) fn of(language: Language) -> Site {
        Site::in_database(language, Server::shared().database("points"), |settings| settings)
    }

    /// In a database that may go away, and with so many attempts of what the worker fetches.
    pub(crate) fn on(language: Language, database: String, attempts: u32) -> Site {
        Site::in_database(language, database, |settings| {
            let pull = "pull: true";
            assert!(settings.contains(pull), "{settings}");
            settings.replace(pull, &format!("{pull}, attempts: {attempts}"))
        })
    }

    fn in_database(
        language: Language,
        database: String,
        change: impl Fn(String) -> String,
    ) -> Site {
        let folder = Folder::new();
        let schema = ["outbox", "schema", "--postgres", "--topic", "points", "--partitions", "4"];
        sql(&database, &run(&schema).expect(0).stdout).expect("an outbox");
        let tables = fs::read_to_string(examples().join("points.sql")).expect("its tables");
        sql(&database, &tables).expect("tables");
        let [service, gateway, admin, inner] = [(); 4].map(|()| free_port());
        let at = Addresses { database, service, gateway, admin, inner };
        let settings = overlay(folder.path(), "points.yaml", &change(settings(&at)));
        Site {
            language,
            at,
            settings,
            admin: String::new(),
            yeoul: None,
            service: None,
            worker: None,
            folder,
        }
    }

    /// `yeoul serve`, which signs by this key. (Port 0 would give the settings' own listener another port, too.)
    pub(crate) fn serve(&mut self, secret: &str) {
        let (data, at) = (self.folder.data(), &self.at);
        let [gateway, admin] = [at.gateway, at.admin].map(|port| format!("127.0.0.1:{port}"));
        let mut command = yeoul();
        command.args(["serve", "-c", text(&self.settings), "--data", text(&data), "--json"]);
        command.args(["--listen", &gateway, "--admin", &admin]).env("POINTS_SECRET", secret);
        let mut program = Started::of(command);
        assert_eq!(program.ready()["inner"], at.inner_url(), "as the settings say");
        self.admin = format!("http://{admin}");
        self.yeoul = Some(program);
    }

    pub(crate) fn stop_serving(&mut self) {
        assert_eq!(self.yeoul.take().expect("it runs").stop_by("TERM"), Some(0));
    }

    pub(crate) fn start_service(&mut self) {
        let command = self.language.service(&self.at);
        self.service = Some(Part::start(command, self.folder.path().join("service.log")));
        let url = format!("{}/customers/nobody", self.service_url());
        let answers = || Call::new("GET", &url).try_send().ok().filter(|it| it.status == 200);
        within(START_AT_MOST, "the service answers", answers);
    }

    pub(crate) fn start_worker(&mut self) {
        let command = self.language.worker(&self.at);
        self.worker = Some(Part::start(command, self.folder.path().join("worker.log")));
    }

    pub(crate) fn worker_runs(&mut self) -> bool {
        self.worker.as_mut().is_some_and(|it| it.child.try_wait().expect("a child").is_none())
    }

    pub(crate) fn kill_service(&mut self) {
        self.service = None;
        self.start_service();
    }

    pub(crate) fn kill_worker(&mut self) {
        self.worker = None;
        self.start_worker();
    }

    pub(crate) fn kill_yeoul(&mut self) {
        self.yeoul.take().expect("it runs").stop_by("KILL");
        self.serve(super::SIGNING);
    }

    pub(crate) fn kill_all(&mut self) {
        self.yeoul.take().expect("it runs").stop_by("KILL");
        (self.service, self.worker) = (None, None);
        self.serve(super::SIGNING);
        self.start_worker();
        self.start_service();
    }

    /// Nothing was given up on, and everything that the example started still runs.
    pub(crate) fn ends_well(mut self) {
        assert_eq!(self.dead(), [""; 0]);
        for part in [&mut self.service, &mut self.worker].into_iter().flatten() {
            assert!(part.child.try_wait().expect("a child").is_none(), "{}", part.words.display());
        }
        self.stop_serving();
    }

    /// The keys of what was given up on.
    pub(crate) fn dead(&self) -> Vec<String> {
        let answer = Call::new("GET", format!("{}/admin/dead", self.admin)).send().expect(200);
        let letters = answer.value();
        let key = |it: &Value| it["key"].as_str().expect("a key").to_owned();
        let mut keys: Vec<String> = letters.as_array().expect("a list").iter().map(key).collect();
        keys.sort();
        keys
    }

    pub(crate) fn service_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.at.service)
    }

    #[track_caller]
    pub(crate) fn put(&self, path: &str, body: &Value) -> u16 {
        // Some runtimes close a connection after a failure, which a client of many requests meets at the next one.
        eventually("an answer", || try_put(&self.service_url(), path, body))
    }

    #[track_caller]
    pub(crate) fn customer(&self, name: &str) -> Value {
        let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
        let url = format!("{}/customers/{name}", self.service_url());
        Call::new("GET", url).send().expect(200).value()
    }

    #[track_caller]
    pub(crate) fn notices(&self, customer: &str) -> Value {
        self.customer(customer)["notices"].clone()
    }

    pub(crate) fn all_notices(&self) -> usize {
        self.count("SELECT count(*) FROM notice")
    }

    /// Rows of the outbox that are about this customer.
    pub(crate) fn outbox(&self, customer: &str) -> usize {
        self.count(&format!("SELECT count(*) FROM yeoul_outbox WHERE key = '{customer}'"))
    }

    /// Notes the event of the outbox about this customer as the worker does.
    pub(crate) fn note_as_handled(&self, customer: &str) {
        let note = "INSERT INTO handled SELECT 'points/' || id FROM yeoul_outbox WHERE key";
        sql(&self.at.database, &format!("{note} = '{customer}'")).expect("a note");
    }

    /// Publishes by SQL so many changes of the points of so many customers by turns.
    pub(crate) fn publish_changes(&self, changes: usize, customers: usize) {
        let data =
            r#"format('{"customer": "customer %s", "points": %s, "balance": %s}', n % m, n, n)"#;
        self.publish(&format!(
            "SELECT 'points', 'customer ' || n % m, 'PointsEarned', {data}
             FROM generate_series(1, {changes}) n, (VALUES ({customers})) AS of (m) ORDER BY n"
        ));
    }

    /// Publishes by SQL what no service of these does: changes with these data, of these keys.
    pub(crate) fn publish_as_they_are(&self, changes: &[(&str, &str)]) {
        for (key, data) in changes {
            self.publish(&format!("VALUES ('points', '{key}', 'PointsEarned', '{data}')"));
        }
    }

    fn publish(&self, rows: &str) {
        let insert = format!("INSERT INTO yeoul_outbox (topic, key, type, data) {rows}");
        sql(&self.at.database, &insert).expect("published");
    }

    /// The notices of a customer, as the database has them.
    pub(crate) fn texts(&self, customer: &str) -> Vec<String> {
        let query =
            format!("SELECT text FROM notice WHERE customer = '{customer}' ORDER BY number");
        sql(&self.at.database, &query).expect("texts").lines().map(str::to_owned).collect()
    }

    fn count(&self, query: &str) -> usize {
        sql(&self.at.database, query).expect("a count").parse().expect("a number")
    }

    /// Every transaction that writes a row there takes its time, so that a kill is in the middle of one.
    pub(crate) fn slow_down(&self, table: &str) {
        let slow = format!(
            "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 PERFORM pg_sleep(0.01); RETURN NEW; END $$;
             CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION slow()"
        );
        sql(&self.at.database, &slow).expect("a trigger");
    }

    /// The next two transactions that write a row about this customer there are refused when they end.
    pub(crate) fn fail_twice(&self, table: &str, customer: &str) {
        let fail = format!(
            "CREATE SEQUENCE IF NOT EXISTS attempts; ALTER SEQUENCE attempts RESTART;
             CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF nextval('attempts') <= 2 THEN RAISE EXCEPTION 'made to fail'; END IF; RETURN NULL; END $$;
             DROP TRIGGER IF EXISTS fail ON {table};
             CREATE CONSTRAINT TRIGGER fail AFTER INSERT OR UPDATE ON {table} DEFERRABLE INITIALLY DEFERRED
                 FOR EACH ROW WHEN (NEW.customer = '{customer}') EXECUTE FUNCTION fail()"
        );
        sql(&self.at.database, &fail).expect("a trigger");
    }

    /// How many there were since.
    pub(crate) fn attempts(&self) -> usize {
        self.count("SELECT last_value FROM attempts")
    }

    /// What a topic has.
    pub(crate) fn topic(&self, name: &str) -> Vec<Value> {
        let data = self.folder.data();
        let tail =
            ["events", "tail", name, "--from-beginning", "--no-follow", "--data", text(&data)];
        // Read while it is printed: it may be more than a pipe holds.
        let printed = said(&yeoul().args(tail).output().expect("the program starts"));
        let printed = printed.expect("a topic");
        printed.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
    }

    /// The events that say of changes of this customer's points: their data.
    pub(crate) fn changes(&self, customer: &str) -> Vec<Value> {
        let events = self.topic("points").into_iter();
        let of_this = events.filter(|it| it["subject"] == customer);
        of_this.map(|mut it| it["data"].take()).collect()
    }

    pub(crate) fn push_log(&self) -> String {
        let data = self.folder.data();
        run(&["push", "log", "credit", "--data", text(&data)]).expect(0).stdout
    }

    pub(crate) fn metric(&self, name: &str, subscription: &str) -> f64 {
        let text = Call::new("GET", format!("{}/metrics", self.admin)).send().expect(200).text();
        let begins = format!("{name}{{subscription=\"{subscription}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&begins));
        line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().expect("a number")
    }

    /// Delivers it as Yeoul does; what the service answers.
    pub(crate) fn deliver(&self, sent: &Signed<'_>) -> u16 {
        self.deliver_as(sent, &sign(sent))
    }

    pub(crate) fn deliver_as(&self, sent: &Signed<'_>, signature: &Signature) -> u16 {
        let call = Call::new("POST", format!("{}/events", self.service_url()))
            .content("application/json", sent.body)
            .header("ce-specversion", "1.0")
            .header("ce-id", sent.id.rsplit('/').next().expect("an id"))
            .header("ce-source", "/till")
            .header("ce-type", sent.kind)
            .header("webhook-id", sent.id)
            .header("webhook-timestamp", &signature.timestamp)
            .header("webhook-signature", &signature.value);
        call.send().status
    }
}

/// The status, if there is an answer.
pub(crate) fn try_put(service: &str, path: &str, body: &Value) -> Option<u16> {
    let call = Call::new("PUT", format!("{service}/{path}")).json(body);
    call.try_send().ok().map(|answer| answer.status)
}

/// A delivery that somebody signs by this key, so many seconds ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Signed<'a> {
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) body: &'a str,
    pub(crate) key: &'a str,
    pub(crate) age: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Signature {
    pub(crate) timestamp: String,
    pub(crate) value: String,
}

/// By another implementation than Yeoul's.
pub(crate) fn sign(sent: &Signed<'_>) -> Signature {
    let script = "import base64, hashlib, hmac, sys, time\n\
        key, id, body, age = sys.argv[1:]\n\
        at = int(time.time()) - int(age)\n\
        mac = hmac.new(base64.b64decode(key[6:]), f'{id}.{at}.{body}'.encode(), hashlib.sha256)\n\
        print(at, 'v1,' + base64.b64encode(mac.digest()).decode())";
    let arguments = ["-c", script, sent.key, sent.id, sent.body, &sent.age.to_string()];
    let output = Command::new("python3").args(arguments).output().expect("python3 is installed");
    let printed = said(&output).expect("a signature");
    let (timestamp, value) = printed.split_once(' ').expect("both");
    Signature { timestamp: timestamp.to_owned(), value: value.to_owned() }
}

/// The settings beside the examples, with this site's addresses.
fn settings(at: &Addresses) -> String {
    let shown = fs::read_to_string(examples().join("points.yaml")).expect("the settings");
    let own = [
        ("inner: 127.0.0.1:8089", format!("inner: 127.0.0.1:{}", at.inner)),
        ("http://127.0.0.1:9000/", format!("http://127.0.0.1:{}/", at.service)),
        ("postgres://postgres@127.0.0.1:5432/points", at.database.clone()),
    ];
    own.iter().fold(shown, |settings, (shown, own)| {
        assert!(settings.contains(shown), "{shown}: {settings}");
        settings.replace(shown, own)
    })
}

fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = PORTS_FROM + u16::try_from(std::process::id() % 1_000).expect("small") * 10;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}
