//! The command line: what is there, and nothing that is not there yet.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use events::partition::PARTITIONS_MAX;
use events::subscription::Destination;
use events::trace::{LIMIT_DEFAULT, LIMIT_MAX};
use events::{Partition, Partitions, Topic};

/// The performance layer for microservices.
#[derive(Debug, Parser)]
#[command(name = "yeoul", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run 12st Mall: the whole of it in this process, or one part.
    Mall(MallArgs),
    /// Run the layer for your own services.
    Serve(ServeArgs),
    /// Check a settings file; start nothing.
    Check(CheckArgs),
    /// Print what the topics of a settings file are as an AsyncAPI 3.0.0 document; start nothing.
    Asyncapi(AsyncapiArgs),
    /// See the event side.
    #[command(subcommand)]
    Events(EventsCommand),
    /// See and repair dead letters.
    #[command(subcommand)]
    Dead(DeadCommand),
    /// See what was delivered to services elsewhere.
    #[command(subcommand)]
    Push(PushCommand),
    /// The outbox as a table, for writers in any language.
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// List the pages, and say whether they follow the events.
    Views(DataArgs),
    /// Copy one moment of everything in a data folder, while it is run on or rests.
    Backup(BackupArgs),
    /// Make a data folder of a backup.
    Restore(RestoreArgs),
    /// Say what an acknowledgement means here, and what is wrong.
    Doctor(DataArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// Where the backup goes: absent, or an empty folder.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// With the keys of people: without them, what is sealed in its events is told to nobody who has it alone, and with them
    /// who was forgotten since is known again where it is restored.
    #[arg(long)]
    pub(crate) keys: bool,
    #[command(flatten)]
    pub(crate) place: DataArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// A folder that `yeoul backup` made.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The new data folder: absent, or an empty folder.
    #[arg(long, value_name = "NEW")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct MallArgs {
    /// One part of it alone, over a broker that all parts share; without it the whole mall.
    #[arg(value_name = "SERVICE")]
    pub(crate) service: Option<String>,
    /// A settings file laid over the mall's own.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Also switch services off and let them fail, through the admin listener.
    #[arg(long)]
    pub(crate) faults: bool,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The settings file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

/// Where a process lives.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProcessArgs {
    /// Where everything is kept.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// The gateway's address; port 0 gives every listener a free port.
    #[arg(long, value_name = "HOST:PORT", value_parser = chassis::http::address::parse)]
    pub(crate) listen: Option<SocketAddr>,
    /// The admin listener's address; loopback only.
    #[arg(long, value_name = "HOST:PORT", value_parser = chassis::http::address::parse)]
    pub(crate) admin: Option<SocketAddr>,
    /// Say readiness as one line of JSON on stdout.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The settings file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The file is laid over the mall's own settings.
    #[arg(long)]
    pub(crate) mall: bool,
    /// The settings that are in force, with their schemas beside them: name what would break who relies on those.
    #[arg(long, value_name = "OLD")]
    pub(crate) against: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AsyncapiArgs {
    /// The settings file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The file is laid over the mall's own settings.
    #[arg(long)]
    pub(crate) mall: bool,
    /// What the document calls the whole; the file's name without it.
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Which version of the whole it describes.
    #[arg(long, value_name = "TEXT", default_value = "unversioned")]
    pub(crate) version: String,
    /// As JSON, not YAML.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which data folder.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// The data folder of the process.
    #[arg(long, value_name = "DIR", default_value = "data")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EventsCommand {
    /// Print a topic's events, one line of CloudEvents JSON each, and go on as they come.
    Tail {
        /// The topic.
        topic: String,
        /// From the first event on, not from now.
        #[arg(long)]
        from_beginning: bool,
        /// End at the end of the topic instead of waiting for more.
        #[arg(long)]
        no_follow: bool,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Store events in a topic that takes some from outside: a JSON document of one event or an array of several, each
    /// as CloudEvents has it. Prints where they are, once they are on disk; asked again, where the first copies are.
    Publish {
        /// The topic.
        topic: String,
        /// The document; standard input without it.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Give a topic of a resting folder more partitions, once everything in it has been taken by everybody.
    Partitions {
        /// The topic.
        topic: String,
        /// How many it is to have.
        count: u16,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Have a subscription (`product.order`) read on from elsewhere: what it does whose topic has its place no
    /// more. What it received once changes nothing.
    Place {
        /// Whose, as its status names it.
        name: String,
        /// From where: `beginning`, `end`, a time (2024-05-01T12:00:00Z) or an event's `position`.
        #[arg(long, value_name = "WHERE")]
        to: Destination,
        /// In this partition alone.
        #[arg(long, value_name = "N", value_parser = partition)]
        partition: Option<Partition>,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Have a subscription (`product.order`) take nothing, at every instance and after a restart too. What is under way is
    /// finished; what comes waits in its topic.
    Pause {
        /// Whose, as its status names it.
        name: String,
        /// Until when it does: a time (2024-05-01T12:00:00Z), or how long from now (`90s`, `12h`, `30d`); without it until
        /// it is resumed.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Have a paused subscription go on where it is.
    Resume {
        /// Whose, as its status names it.
        name: String,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Print one business transaction: the events of a correlation in whatever topics they are, each behind its cause, with
    /// what subscriptions have parked of them, and what was not looked at.
    Trace {
        /// The correlation (`correlationid` of its events; in the mall the `trace` of the request), or the name of any of them:
        /// `SOURCE/ID`.
        id: String,
        /// From when on: a time (2024-05-01T12:00:00Z), or how long ago (`90s`, `12h`, `30d`); without it the newest events.
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Events that are read at most, of all topics together.
        #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT,
            value_parser = clap::value_parser!(u64).range(1..=LIMIT_MAX))]
        limit: u64,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Throw the key of a person away: what was sealed of him (`events.topics.NAME.pii`) nobody can tell any more, in the
    /// topics, in outboxes, among dead letters and in backups. Says what that does not reach.
    Forget {
        /// Whose: the id that the settings' rules find in an event.
        person: String,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Step over the one hurt thing that stops a subscription (`product.order`), a relay (`outbox.order`)
    /// or readers of a topic from outside (`log.order`), and write that down.
    Skip {
        /// Whose: a subscription (`product.order`) or a relay (`outbox.order`), as its status names it.
        name: String,
        #[command(flatten)]
        place: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// List what was given up, one line each: all of it, or what a filter means.
    List {
        #[command(flatten)]
        filter: LetterFilter,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Show one, with its event.
    Show {
        /// Its id, as listed.
        id: String,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Try one again, or all that a filter means; what waits behind each follows in order.
    Redrive {
        #[command(flatten)]
        letters: Letters,
        /// Has one handled with these data, JSON, in place of its own (- is standard input); with --dry-run only tried and taken back.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "LetterFilter", "limit"])]
        with: Option<PathBuf>,
        #[command(flatten)]
        place: DataArgs,
    },
    /// Give one up for good, or all that a filter means, and write that down; what waits behind each follows in order.
    Drop {
        #[command(flatten)]
        letters: Letters,
        #[command(flatten)]
        place: DataArgs,
    },
}

/// One letter, or those that are meant.
#[derive(Debug, Args)]
pub(crate) struct Letters {
    /// Its id, as listed.
    #[arg(required_unless_present_any = ["all", "LetterFilter"], conflicts_with_all = ["all", "LetterFilter", "limit"])]
    pub(crate) id: Option<String>,
    /// Every letter there is.
    #[arg(long, conflicts_with = "LetterFilter")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) filter: LetterFilter,
    /// How many at most, up to 1000; what is left is said.
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,
    /// Only say which they are; of one, what its handler would say.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// What letters have in common; every part that is given has to hold.
#[derive(Debug, Args)]
#[group(multiple = true)]
pub(crate) struct LetterFilter {
    /// Whose handler or receiver failed, such as `product.order`, or which relay passed it.
    #[arg(long, value_name = "NAME")]
    pub(crate) subscription: Option<String>,
    #[arg(long)]
    pub(crate) topic: Option<String>,
    /// Of the event.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Parked then or later: a time, or how long ago (`2h`).
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,
    /// Parked before.
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
    /// What its reason has somewhere.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PushCommand {
    /// Print the newest attempts to deliver, the newest first: when, which event, what came of it.
    Log {
        /// The subscription, as the settings call it.
        name: String,
        #[command(flatten)]
        place: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum OutboxCommand {
    /// Print the statements that make it; run again they change nothing and hold up nobody.
    Schema(SchemaArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// For PostgreSQL, the one engine that others write to.
    #[arg(long, required = true)]
    postgres: bool,
    /// A topic that is to be known there.
    #[arg(long, value_name = "NAME", requires = "partitions", value_parser = topic)]
    pub(crate) topic: Option<Topic>,
    /// How many partitions the topic has.
    #[arg(long, value_name = "N", requires = "topic", value_parser = partitions)]
    pub(crate) partitions: Option<Partitions>,
}

fn topic(text: &str) -> Result<Topic, events::Error> {
    Topic::parse(text)
}

fn partition(text: &str) -> Result<Partition, String> {
    let index = text.parse().ok().and_then(Partition::new);
    index.ok_or_else(|| format!("a whole number below {PARTITIONS_MAX}"))
}

fn partitions(text: &str) -> Result<Partitions, String> {
    let count = text.parse().map_err(|_| "a whole number".to_owned())?;
    Partitions::new(count).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
