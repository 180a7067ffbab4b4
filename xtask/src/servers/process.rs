//! A process beside the chore, which ends when this one does, however that ends.
//!
//! A shell beside it waits for the end of a pipe whose other end only this process has, and then asks it to end. Both
//! are of a group of their own: a Ctrl-C reaches this process alone, which ends the others in order.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};

use crate::failure::Failure;
use crate::shell;

/// Asks a command to end when its own input does, has it ended half a minute later, and ends with it. Whoever asks ends
/// first: later the number may be another process's.
const WATCHED: &str = r#"exec 3<&0 </dev/null
"$@" 3<&- & process=$!
{ read -r _ <&3; kill "$process"; sleep 30 3<&-; kill -9 "$process"; } 2>/dev/null & asks=$!
exec 3<&-
wait "$process"; status=$?
kill "$asks" 2>/dev/null
exit "$status""#;

/// How much of its words a failure repeats.
const WORDS_LINES: usize = 8;

/// A running one.
pub(crate) struct Process {
    watch: Child,
    /// Its end is the process's.
    input: Option<ChildStdin>,
    words: PathBuf,
    first: Receiver<String>,
}

impl Process {
    /// Starts `command`, whose words go to a file in `folder`.
    pub(crate) fn start(name: &str, command: &Command, folder: &Path) -> Result<Process, Failure> {
        let words = folder.join(format!("{name}.log"));
        let log = File::options().create(true).append(true).open(&words)?;
        let mut watch = Command::new("sh");
        watch.args(["-c", WATCHED, "sh"]).arg(command.get_program()).args(command.get_args());
        let given = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        watch.envs(given).process_group(0).stderr(log);
        watch.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut watch = watch.spawn().map_err(|error| shell::not_started(command, &error))?;
        // Kept, never written to: that it closes with this process, in whatever way, is all that the shell waits
        // for.
        let input = watch.stdin.take();
        let output = BufReader::new(watch.stdout.take().expect("piped"));
        let (send, first) = sync_channel(1);
        std::thread::spawn(move || {
            // All of it is read, so that nobody waits for room in the pipe; one line is asked for.
            output.lines().map_while(Result::ok).for_each(|line| drop(send.try_send(line)));
        });
        Ok(Process { watch, input, words, first })
    }

    /// The first line that it prints, if it is there.
    pub(crate) fn first_line(&self) -> Option<String> {
        self.first.try_recv().ok()
    }

    /// Of the shell beside it, whose descendant it is.
    pub(crate) fn pid(&self) -> u32 {
        self.watch.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.watch.try_wait(), Ok(None))
    }

    /// What it said last.
    pub(crate) fn words(&self) -> String {
        let text = std::fs::read_to_string(&self.words).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(WORDS_LINES)..].join("\n")
    }
}

impl Drop for Process {
    /// Asks it to end, and waits until it has.
    fn drop(&mut self) {
        // The closed pipe is the request; the shell asks the process, and kills it half a minute later.
        self.input = None;
        _ = self.watch.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(process: &Process) -> String {
        process.first.recv().expect("a line")
    }

    #[test]
    fn it_is_asked_to_end_and_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo ended >&2; exit 0' TERM; echo $$; while :; do sleep 0.01; done";
        let mut command = shell::command(&["sh", "-c", script]);
        command.env("KNOWN", "1");
        let mut process = Process::start("one", &command, folder.path()).unwrap();
        let pid = first(&process);
        assert!(!process.has_ended() && Path::new("/proc").join(&pid).exists());
        drop(process);
        assert!(!Path::new("/proc").join(&pid).exists());
        assert_eq!(std::fs::read_to_string(folder.path().join("one.log")).unwrap(), "ended\n");
    }

    #[test]
    fn one_that_ends_by_itself_is_known_by_that_and_by_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let script = "echo $KNOWN; for n in 1 2 3 4 5 6 7 8 9; do echo $n >&2; done; exit 3";
        let mut command = shell::command(&["sh", "-c", script]);
        command.env("KNOWN", "given");
        let mut process = Process::start("one", &command, folder.path()).unwrap();
        assert_eq!(first(&process), "given");
        assert!((0..1000).any(|_| {
            super::super::pause();
            process.has_ended()
        }));
        assert_eq!(process.words(), "2\n3\n4\n5\n6\n7\n8\n9");
    }

    #[test]
    fn whoever_would_ask_it_to_end_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut process =
            Process::start("one", &shell::command(&["echo", "done"]), folder.path()).unwrap();
        assert_eq!(first(&process), "done");
        let group = process.pid().to_string();
        let is_of_group = |stat: &str| {
            let (_, fields) = stat.rsplit_once(')').unwrap();
            fields.split_whitespace().nth(2) == Some(&group)
        };
        let left = || {
            let all = std::fs::read_dir("/proc").unwrap().map_while(Result::ok);
            let mut stats =
                all.filter_map(|it| std::fs::read_to_string(it.path().join("stat")).ok());
            stats.any(|stat| is_of_group(&stat))
        };
        assert!((0..1000).any(|_| {
            super::super::pause();
            process.has_ended() && !left()
        }));
    }
}
