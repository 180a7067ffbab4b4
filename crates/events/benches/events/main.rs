//! What an event costs beside its acknowledgement: in batches, as the log grows, read again, and on its way to a handler.
//!
//! Everything is on the disk of the folder it is run in. Run it with
//! `cargo bench -p yeoul-events --bench events -- [events]`, the last figure being how many the log grows to (10^6; 10^7 takes
//! some 4 GB); `cargo xtask bench events` runs it and reads what it prints, `subject figure: value unit`, line by line.

mod growth;
mod handled;
#[path = "../shared/measured.rs"]
mod measured;

use std::io::Write as _;

/// How many events the log grows to, unless it is told otherwise.
const GROWN: u64 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo bench` says `--bench` before anything else; figures are the only arguments there are.
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let grown: u64 = arguments.next().map_or(Ok(GROWN), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let folder = tempfile::tempdir_in(".")?;
    let sync = measured::sync_micros(&folder.path().join("bare"))?;
    report("disk", "bare_sync_us", sync, "us")?;
    // First: what the others leave to be written slows whoever waits for a sync.
    runtime.block_on(handled::measure(folder.path(), sync))?;
    runtime.block_on(growth::measure(folder.path(), grown))
}

/// A figure of a subject; of `ratio`, one over another.
fn report(subject: &str, figure: &str, value: f64, unit: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{subject} {figure}: {value:.3} {unit}")
}
