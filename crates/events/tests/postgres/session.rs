//! A connection that stays open: what is asked by it is in its own transaction, and another's goes on meanwhile.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use super::server::psql;

/// What ends an answer; no row looks like it.
const END: &str = "-- end --";

/// `psql` that goes on after a mistake, and says its code.
pub(super) struct Session {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    pub(super) fn open(address: &str) -> Session {
        let mut command = psql(address);
        command.args(["-v", "ON_ERROR_STOP=0", "-v", "VERBOSITY=sqlstate"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("psql runs");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Session { child, input, output }
    }

    /// Asks without waiting for the answer.
    pub(super) fn say(&mut self, statement: &str) {
        writeln!(self.input, "{statement};\n\\echo :SQLSTATE\n\\echo '{END}'").expect("it listens");
    }

    /// The answer to what was asked first: its rows, or the code of what was wrong.
    pub(super) fn answer(&mut self) -> Result<Vec<String>, String> {
        let lines = self.output.by_ref().lines().map(|line| line.expect("read"));
        let mut rows: Vec<String> = lines.take_while(|line| line != END).collect();
        let code = rows.pop().expect("a code");
        if code == "00000" { Ok(rows) } else { Err(code) }
    }

    /// Asks, and waits for the answer.
    pub(super) fn ask(&mut self, statement: &str) -> Result<Vec<String>, String> {
        self.say(statement);
        self.answer()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
