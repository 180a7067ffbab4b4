//! NATS JetStream: one server, file storage, 64 synchronous publishers of its own bench tool.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Acknowledged, Measure, figure_before, tool};
use crate::error::Error;
use crate::load::CONNECTIONS;
use crate::peer::fill;
use crate::process::{Server, free_address, on_path, tied};
use crate::report::Missing;

/// Events of 256 bytes: durable ones take their time.
const DURABLE: u32 = 6_400;
const NOT_DURABLE: u32 = 64_000;

/// Server and tool, on the path or below the target folder.
pub(super) fn find(target: &Path) -> Result<Measure, Missing> {
    let program = |name: &str| {
        let built = target.join("peers/bin").join(name);
        if built.is_file() { Some(built) } else { on_path(name) }
    };
    let (Some(server), Some(tool)) = (program("nats-server"), program("nats")) else {
        let remedy = "cargo xtask services install nats".to_owned();
        return Err(Missing { peer: "nats", remedy });
    };
    Ok(Box::new(move |folder, share| {
        let folder = folder.join("nats");
        std::fs::create_dir_all(&folder)?;
        // A server for each kind: whether it syncs is a setting of the server, not of a stream.
        let run = |kind, usual| measure(&server, &tool, &folder, kind, &share.events(usual));
        Ok(Acknowledged {
            durable: run(Kind { name: "durable", sync: "sync_interval: always" }, DURABLE)?,
            not_durable: run(Kind { name: "default", sync: "" }, NOT_DURABLE)?,
        })
    }))
}

/// What is measured, and the line of nats' settings that makes it so.
struct Kind {
    name: &'static str,
    sync: &'static str,
}

fn measure(
    server: &PathBuf,
    bench: &PathBuf,
    folder: &Path,
    Kind { name, sync }: Kind,
    events: &str,
) -> Result<f64, Error> {
    let address = free_address()?;
    let file = folder.join(format!("{name}.conf"));
    let below = folder.display().to_string();
    let names = [("address", address.as_str()), ("folder", &below), ("name", name), ("sync", sync)];
    std::fs::write(&file, fill(include_str!("../../../peers/nats.conf"), &names))?;
    let mut command = tied(server);
    command.arg("-c").arg(&file);
    let _server = Server::start("nats", command, folder)?.listening(&address)?;

    let mut command = Command::new(bench);
    command.args(["--server", &address, "bench", "js", "pub", "sync", "measured", "--create"]);
    command.args(["--storage", "file", "--size", "256", "--no-progress", "--msgs", events]);
    command.args(["--clients", &CONNECTIONS.to_string()]);
    let says = tool(command)?;
    figure_before(&says, "msgs/sec").ok_or_else(|| {
        Error::Environment(format!("nats' tool gave no figure. its output=`{says}`"))
    })
}
