//! `cargo xtask cluster`: the mall in processes of its own parts, on Kafka and PostgreSQL, on this machine, with one
//! command.
//!
//! Parts are started one after the other, each told by a settings file where those are that it asks. One that ends
//! is started again at its addresses. Ctrl-C ends them all, those first that ask others. Everything is kept in one
//! folder, and goes on from there the next time.

mod admin;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::servers::kafka::{self, Kafka};
use crate::servers::postgres::{self, Postgres};
use crate::servers::process::Process;
use crate::servers::restarts::Restarts;
use crate::servers::{Stop, free_ports, now, pause};
use crate::{services, shell, web, workspace};

/// In an order in which each finds those that it asks.
const PARTS: [&str; 6] = ["account", "product", "delivery", "order", "mypage", "gateway"];
/// The part that there is one of where nothing else is asked for: it alone can be as one in a shop of any size.
const ACCOUNT: &str = "account";
/// Instances of each of the others.
const INSTANCES: usize = 2;
/// Instances of a part at most.
const INSTANCES_MAX: usize = 4;
/// The part that clients ask, and that nobody else does.
const GATEWAY: &str = "gateway";
/// Where Kafka listens, and its controller, unless free ports are wanted.
const KAFKA_PORTS: [u16; 2] = [9092, 9093];
/// Where PostgreSQL listens, which leaves the usual port to another one.
const POSTGRES_PORT: u16 = 5433;
/// Where one admin listener speaks for all parts.
const ADMIN_PORT: u16 = 9188;
/// Where everything is kept.
const DATA: &str = "data-cluster";
/// Bytes of what the parts know one another by, and of what seals their keys.
const SECRET_BYTES: usize = 32;

/// Without a word about it.
const USUAL: Instances = Instances { accounts: 1, others: INSTANCES };

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    data: PathBuf,
    free_ports: bool,
    faults: bool,
    json: bool,
    instances: Instances,
    /// The program, where it is not built for this.
    program: Option<PathBuf>,
    /// Settings that are laid over every part's.
    over: Option<PathBuf>,
}

/// How many there are of each part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instances {
    accounts: usize,
    others: usize,
}

/// All that runs; dropped in this order.
struct Cluster {
    parts: Vec<Part>,
    kafka: Kafka,
    postgres: Postgres,
    folder: PathBuf,
    secret: String,
    /// What keys are sealed with in the store.
    store_key: String,
    faults: bool,
    program: PathBuf,
    /// Settings that are laid over every part's.
    over: String,
}

/// A running instance of a part.
struct Part {
    name: &'static str,
    /// `order`, or `order-2` beside it.
    instance: String,
    process: Process,
    restarts: Restarts,
    ready: Value,
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    // What is wrong with the words is said before anything is installed or built.
    let wanted = parse(arguments)?;
    services::install_for_builds()?;
    services::install_for_cluster()?;
    if wanted.program.is_none() {
        web::build()?;
        shell::run(shell::command(&["cargo", "build", "--package", "yeoul"]))?;
    }
    // From here a Ctrl-C is a wish: whatever is started from now on is ended in order, also half way through the
    // start.
    let stop = Stop::listen()?;
    let mut cluster = Cluster::start(&wanted, &stop)?;
    if !stop.is_wanted() {
        // The admin address comes last and the line after it: who reads the line finds every address in it
        // answering.
        let port = if wanted.free_ports { 0 } else { ADMIN_PORT };
        let ready = cluster.ready(admin::serve(port, cluster.admins())?);
        shell::say(&if wanted.json { ready.to_string() } else { cluster.addresses(&ready) })?;
    }
    cluster.keep(&stop)?;
    cluster.end();
    Ok(())
}

fn parse(arguments: &[String]) -> Result<Wanted, Failure> {
    let mut wanted = Wanted {
        data: DATA.into(),
        free_ports: false,
        faults: false,
        json: false,
        instances: USUAL,
        program: None,
        over: None,
    };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), arguments.as_slice().first()) {
            ("--free-ports", _) => wanted.free_ports = true,
            ("--faults", _) => wanted.faults = true,
            ("--json", _) => wanted.json = true,
            ("--instances", Some(count)) => {
                wanted.instances.others = instances(count)?;
                arguments.next();
            }
            ("--accounts", Some(count)) => {
                wanted.instances.accounts = instances(count)?;
                arguments.next();
            }
            ("--data", Some(folder)) => {
                wanted.data = folder.into();
                arguments.next();
            }
            ("--program", Some(file)) => {
                wanted.program = Some(file.into());
                arguments.next();
            }
            ("--over", Some(file)) => {
                wanted.over = Some(file.into());
                arguments.next();
            }
            _ => return Err(Failure::usage(format!("no such argument. argument=`{argument}`"))),
        }
    }
    Ok(wanted)
}

/// How many of a part.
fn instances(count: &str) -> Result<usize, Failure> {
    let wanted = count.parse().ok().filter(|wanted| (1..=INSTANCES_MAX).contains(wanted));
    let says = || format!("instances are 1 to {INSTANCES_MAX}. instances=`{count}`");
    wanted.ok_or_else(|| Failure::usage(says()))
}

impl Cluster {
    /// Starts Kafka, PostgreSQL and the parts; where the end is wanted meanwhile, some of them.
    fn start(wanted: &Wanted, stop: &Stop) -> Result<Cluster, Failure> {
        let folder = workspace::root().join(&wanted.data);
        fs::create_dir_all(&folder)?;
        let [first, second, third] = free_ports()?;
        let (ports, port) = match wanted.free_ports {
            true => ([first, second], third),
            false => (KAFKA_PORTS, POSTGRES_PORT),
        };
        // Both stand and answer before the first part is started.
        let kafka = Kafka::start(&folder, ports, kafka::OF_A_SHOP, stop)?;
        let postgres = Postgres::start(&folder, port, postgres::OF_A_SHOP, stop)?;
        let (parts, faults) = (Vec::new(), wanted.faults);
        let (secret, store_key) = (secret()?, store_key(&folder)?);
        let built = || workspace::target().join("debug/yeoul");
        let program = wanted.program.clone().unwrap_or_else(built);
        let over = wanted.over.as_ref().map(fs::read_to_string).transpose()?.unwrap_or_default();
        let mut cluster =
            Cluster { parts, kafka, postgres, folder, secret, store_key, faults, program, over };
        for (name, number) in all(wanted.instances) {
            if stop.is_wanted() {
                break;
            }
            cluster.add(name, number, wanted.free_ports, stop)?;
        }
        Ok(cluster)
    }

    /// Starts an instance, and waits until it is ready. The first of each has the part's own address.
    fn add(
        &mut self,
        name: &'static str,
        number: usize,
        free_ports: bool,
        stop: &Stop,
    ) -> Result<(), Failure> {
        let instance = instance(name, number);
        // Only one can have the address that others expect a part at; further instances are found by the settings
        // of those that ask them.
        let listen = (free_ports || number > 1).then_some("127.0.0.1:0");
        let command = self.command(name, &instance, listen, listen)?;
        let process = Process::start(&instance, &command, &self.folder)?;
        let restarts = Restarts::new(now());
        let mut part = Part { name, instance, process, restarts, ready: Value::Null };
        part.wait(stop)?;
        // From now on those that are started later are told of it, and `end` ends it.
        self.parts.push(part);
        Ok(())
    }

    /// Starts again what ends, until the end is wanted.
    fn keep(&mut self, stop: &Stop) -> Result<(), Failure> {
        while !stop.is_wanted() {
            pause();
            let now = now();
            // The servers first: whatever part has ended with one of them finds it on its way back.
            self.kafka.keep(now)?;
            self.postgres.keep(now)?;
            for at in 0..self.parts.len() {
                let Part { instance, process, restarts, .. } = &mut self.parts[at];
                if restarts.is_due(instance, process, now) {
                    // Not waited for: it may wait for another one that has ended too.
                    self.parts[at].process = self.start_again(&self.parts[at])?;
                }
            }
        }
        Ok(())
    }

    /// Another one in a part's place, at its addresses.
    fn start_again(&self, part: &Part) -> Result<Process, Failure> {
        let address = |key: &str| Some(part.ready[key].as_str()?.trim_start_matches("http://"));
        // Where it was before: the others were told its addresses when they were started, and are not told again.
        let (listen, admin) = (address(part.name), address("admin"));
        let command = self.command(part.name, &part.instance, listen, admin)?;
        Process::start(&part.instance, &command, &self.folder)
    }

    /// Ends those first that ask others.
    fn end(mut self) {
        // The last that was started asks those before it. Kafka and PostgreSQL are dropped after all of them,
        // with `self`.
        while let Some(part) = self.parts.pop() {
            drop(part);
        }
    }

    fn command(
        &self,
        name: &str,
        instance: &str,
        listen: Option<&str>,
        admin: Option<&str>,
    ) -> Result<Command, Failure> {
        let file = self.folder.join(format!("{instance}.yaml"));
        let mut urls: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (part, url) in self.parts.iter().filter_map(|part| Some((part, part.url()?))) {
            urls.entry(part.name).or_default().push(url);
        }
        let settings = settings(&self.kafka.address(), &self.postgres.address(), &urls);
        fs::write(&file, settings + &self.over)?;
        let mut command = Command::new(&self.program);
        command.args(["mall", name, "--json", "-c"]).arg(file);
        command.arg("--data").arg(self.folder.join(instance));
        command.args(listen.iter().flat_map(|address| ["--listen", address]));
        command.args(admin.iter().flat_map(|address| ["--admin", address]));
        command.args(self.faults.then_some("--faults"));
        command.env("YEOUL_GATEWAY_SECRET", &self.secret);
        command.env("YEOUL_STORE_KEY", &self.store_key);
        Ok(command)
    }

    /// Where the parts' own admin listeners are.
    fn admins(&self) -> Vec<admin::Target> {
        let admin = |part: &Part| part.ready["admin"].as_str().unwrap_or_default().to_owned();
        let target = |part: &Part| admin::Target {
            instance: part.instance.clone(),
            address: admin(part).trim_start_matches("http://").to_owned(),
        };
        self.parts.iter().map(target).collect()
    }

    /// The same for people: where to go, and where to look.
    fn addresses(&self, ready: &Value) -> String {
        let gateways = self.parts.iter().filter(|part| part.name == GATEWAY);
        let gateways: Vec<_> = gateways.filter_map(Part::url).collect();
        format!("{}\nadmin {}", gateways.join("\n"), ready["admin"].as_str().unwrap_or_default())
    }

    /// The line that says where everything is.
    fn ready(&self, admin: SocketAddr) -> Value {
        let mut ready: Map<String, Value> = Map::new();
        ready.insert("ready".to_owned(), json!(true));
        ready.insert("pid".to_owned(), json!(std::process::id()));
        ready.insert("admin".to_owned(), json!(format!("http://{admin}")));
        for part in &self.parts {
            // Of several the first.
            ready.entry(part.name.to_owned()).or_insert_with(|| json!(part.url()));
        }
        let process = |part: &Part| {
            let (pid, admin) = (&part.ready["pid"], &part.ready["admin"]);
            json!({ "service": part.name, "pid": pid, "url": part.url(), "admin": admin })
        };
        let servers = json!({ "kafka": self.kafka.pid(), "postgres": self.postgres.pid() });
        ready.insert("servers".to_owned(), servers);
        ready.insert("processes".to_owned(), self.parts.iter().map(process).collect());
        Value::Object(ready)
    }
}

impl Part {
    /// Waits for its ready line, or until the end is wanted.
    fn wait(&mut self, stop: &Stop) -> Result<(), Failure> {
        while !stop.is_wanted() {
            if let Some(line) = self.process.first_line() {
                self.ready = serde_json::from_str(&line).map_err(|error| {
                    Failure::found(format!(
                        "{} is not ready: {error}. line=`{line}`",
                        self.instance
                    ))
                })?;
                return Ok(());
            }
            if self.process.has_ended() {
                let says = format!("{} does not start:\n{}", self.instance, self.process.words());
                return Err(Failure::environment(says));
            }
            pause();
        }
        Ok(())
    }

    fn url(&self) -> Option<&str> {
        self.ready[self.name].as_str()
    }
}

/// Every instance, in the order in which they are started.
fn all(instances: Instances) -> impl Iterator<Item = (&'static str, usize)> {
    let Instances { accounts, others } = instances;
    let count = move |name| if name == ACCOUNT { accounts } else { others };
    PARTS.into_iter().flat_map(move |name| (1..=count(name)).map(move |number| (name, number)))
}

/// What an instance is called: as its part, or with its number behind that.
fn instance(name: &str, number: usize) -> String {
    if number == 1 { name.to_owned() } else { format!("{name}-{number}") }
}

/// The part that an instance of this name is of.
fn part_of(instance: &str) -> &str {
    instance.split_once('-').map_or(instance, |(name, _)| name)
}

/// What is laid over the mall's own settings: broker, store, and where the parts are that run already.
fn settings(kafka: &str, postgres: &str, urls: &BTreeMap<&str, Vec<&str>>) -> String {
    let mut text = format!("events: {{ broker: \"{kafka}\", replicas: 1 }}\n");
    text += &format!("store: \"{postgres}\"\n");
    if let Some(account) = urls.get("account").and_then(|urls| urls.first()) {
        text += &format!("mall: {{ keys: \"{account}/.well-known/jwks.json\" }}\n");
    }
    // Nobody asks a gateway: it is no upstream.
    let upstreams = urls.iter().filter(|(name, _)| **name != GATEWAY);
    let listed = |(name, urls): (_, &Vec<&str>)| format!("{name}: [\"{}\"]", urls.join("\", \""));
    let upstreams: Vec<_> = upstreams.map(listed).collect();
    text + &format!("upstreams: {{ {} }}\n", upstreams.join(", "))
}

/// Drawn anew each time: all that know it are started here.
fn secret() -> Result<String, Failure> {
    let mut bytes = [0; SECRET_BYTES];
    std::io::Read::read_exact(&mut fs::File::open(Path::new("/dev/urandom"))?, &mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Drawn once: what is in the store outlives this process.
fn store_key(folder: &Path) -> Result<String, Failure> {
    let file = folder.join("store.key");
    // A key that is drawn anew would leave everything in the store sealed for good.
    if let Ok(key) = fs::read_to_string(&file) {
        return Ok(key);
    }
    let key = secret()?;
    let mut options = fs::OpenOptions::new();
    let mut out = options.write(true).create(true).truncate(true).mode(0o600).open(&file)?;
    out.write_all(key.as_bytes())?;
    // Before anything is sealed with it: what is in the store by then must not outlive its key.
    out.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read_and_the_rest_refused() {
        let parse = |words: &[&str]| {
            parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).ok()
        };
        let usual = || Wanted {
            data: DATA.into(),
            free_ports: false,
            faults: false,
            json: false,
            instances: USUAL,
            program: None,
            over: None,
        };
        assert_eq!(parse(&[]), Some(usual()));
        let all = Wanted {
            data: "d".into(),
            free_ports: true,
            faults: true,
            json: true,
            instances: Instances { accounts: 2, others: 1 },
            program: Some("p".into()),
            over: Some("o".into()),
        };
        let words =
            "--json --data d --faults --free-ports --instances 1 --accounts 2 --program p --over o";
        assert_eq!(parse(&words.split(' ').collect::<Vec<_>>()), Some(all));
        let most = parse(&["--instances", "4"]).map(|wanted| wanted.instances.others);
        assert_eq!(most, Some(4));
        let wrong = ["0", "5", "two"].map(|count| ["--instances", count]);
        let wrong = wrong.iter().map(|words| &words[..]);
        for refused in [&["--data"][..], &["--instances"], &["--program"], &["--over"], &["order"]]
            .into_iter()
            .chain(wrong)
        {
            assert_eq!(parse(refused), None, "{refused:?}");
        }
    }

    #[test]
    fn a_part_is_told_where_those_are_that_run_already() {
        let urls = [
            ("account", vec!["http://a:1"]),
            ("order", vec!["http://a:2", "http://a:4"]),
            ("gateway", vec!["http://a:3"]),
        ];
        assert_eq!(
            settings("kafka://k:9", "postgres://u@p:5/d", &urls.into()),
            "events: { broker: \"kafka://k:9\", replicas: 1 }\n\
             store: \"postgres://u@p:5/d\"\n\
             mall: { keys: \"http://a:1/.well-known/jwks.json\" }\n\
             upstreams: { account: [\"http://a:1\"], order: [\"http://a:2\", \"http://a:4\"] }\n"
        );
        assert!(!settings("kafka://k:9", "", &BTreeMap::new()).contains("keys"));
    }

    #[test]
    fn there_are_two_of_each_but_account_unless_other_numbers_are_asked_for() {
        let names: Vec<_> = all(USUAL).map(|(name, number)| instance(name, number)).collect();
        let expected = [
            "account",
            "product",
            "product-2",
            "delivery",
            "delivery-2",
            "order",
            "order-2",
            "mypage",
            "mypage-2",
            "gateway",
            "gateway-2",
        ];
        assert_eq!(names, expected);
        let parts: Vec<_> = names.iter().map(|name| part_of(name)).collect();
        assert!(all(USUAL).map(|(name, _)| name).eq(parts));
        assert!(all(Instances { accounts: 1, others: 1 }).map(|(name, _)| name).eq(PARTS));
        let two = Instances { accounts: 2, others: 1 };
        assert_eq!(all(two).filter(|(name, _)| *name == ACCOUNT).count(), 2);
    }

    #[test]
    fn a_secret_is_long_and_another_one_each_time() {
        let (one, other) = (secret().unwrap(), secret().unwrap());
        assert_eq!((one.len(), other.len()), (2 * SECRET_BYTES, 2 * SECRET_BYTES));
        assert_ne!(one, other);
    }
}
