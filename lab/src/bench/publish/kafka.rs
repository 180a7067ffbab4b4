//! Apache Kafka from plain jars: one broker, its own producer tool, `acks=all`.

use std::path::Path;
use std::process::Command;

use super::{Acknowledged, Fraction, Measure, figure_before, tool};
use crate::error::Error;
use crate::peer;
use crate::peer::fill;
use crate::process::{Server, free_address, on_path, tied};
use crate::report::Missing;

/// Events of 256 bytes: durable ones take their time.
const DURABLE: u32 = 20_000;
const NOT_DURABLE: u32 = 100_000;
/// Any valid one; a broker is formatted with it.
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qg";

/// The jars, below the target folder, and a JVM.
pub(super) fn find(target: &Path) -> Result<Measure, Missing> {
    let jars = target.join("peers/kafka");
    if !jars.is_dir() || on_path("java").is_none() {
        let remedy = "cargo xtask services install kafka".to_owned();
        return Err(Missing { peer: "kafka", remedy });
    }
    Ok(Box::new(move |folder, share| measure(&jars, &folder.join("kafka"), share)))
}

fn measure(jars: &Path, folder: &Path, share: Fraction) -> Result<Acknowledged, Error> {
    std::fs::create_dir_all(folder)?;
    let (address, controller) = (free_address()?, free_address()?);
    let file = folder.join("server.properties");
    let names = [
        ("address", address.as_str()),
        ("controller", &controller),
        ("folder", &folder.display().to_string()),
    ];
    let settings = fill(include_str!("../../../peers/kafka/server.properties"), &names);
    std::fs::write(&file, settings)?;
    let mut format = java(jars, "kafka.tools.StorageTool", folder);
    format.args(["format", "-t", CLUSTER, "-c"]).arg(&file);
    tool(format)?;

    let mut broker = with_jars(tied("java"), jars, "kafka.Kafka", folder);
    broker.arg(&file).stdout(std::process::Stdio::null());
    let _broker = Server::start("kafka", broker, folder)?.listening(&address)?;
    peer::settle();
    let durable = publish(
        jars,
        folder,
        &address,
        "durable",
        &["--config", "flush.messages=1"],
        &share.events(DURABLE),
    )?;
    let not_durable =
        publish(jars, folder, &address, "not-durable", &[], &share.events(NOT_DURABLE))?;
    Ok(Acknowledged { durable, not_durable })
}

fn publish(
    jars: &Path,
    folder: &Path,
    address: &str,
    topic: &str,
    settings: &[&str],
    events: &str,
) -> Result<f64, Error> {
    let mut create = java(jars, "org.apache.kafka.tools.TopicCommand", folder);
    create.args(["--bootstrap-server", address, "--create", "--topic", topic, "--partitions", "1"]);
    tool(with(create, settings))?;
    let mut perf = java(jars, "org.apache.kafka.tools.ProducerPerformance", folder);
    perf.args(["--topic", topic, "--num-records", events, "--record-size", "256"]);
    perf.args(["--throughput", "-1", "--producer-props", "acks=all"]);
    perf.arg(format!("bootstrap.servers={address}"));
    let says = tool(perf)?;
    figure_before(&says, "records/sec").ok_or_else(|| {
        Error::Environment(format!("kafka's tool gave no figure. its output=`{says}`"))
    })
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}

fn java(jars: &Path, class: &str, folder: &Path) -> Command {
    with_jars(Command::new("java"), jars, class, folder)
}

fn with_jars(mut java: Command, jars: &Path, class: &str, folder: &Path) -> Command {
    java.args(["-Xmx1g", "-cp"]).arg(jars.join("*")).arg(class).current_dir(folder);
    java
}
