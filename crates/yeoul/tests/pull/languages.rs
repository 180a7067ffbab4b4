//! With the CloudEvents library of another language, and with the worker that the guide shows, as it stands there.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::*;

/// Python with the library; what it prints goes to a pipe.
fn python(script: &Path, arguments: &[&str]) -> Command {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let libraries = target.join("peers/python");
    let install = "cargo xtask services install cloudevents";
    assert!(libraries.is_dir(), "Python's libraries are missing. Install them with:\n{install}");
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", libraries).arg("-u").arg(script).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn pythons_library_reads_what_is_lent() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    served.publish("paid", &[("python-1", "가게 7"), ("python-2", "가게 8")]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pull/pull.py");
    let output = python(&script, &[&served.inner]).output().expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(printed, "python-1 /till 가게 7 12000 1\npython-2 /till 가게 8 12000 1\n2\n");
    served.nothing();
}

/// The Python of the guide's chapter, in a file, asking at this address.
fn worker_of_the_guide(folder: &Path, address: &str) -> PathBuf {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide.md");
    let guide = std::fs::read_to_string(guide).expect("the guide");
    let chapter = guide.split("\n## Events by pull\n").nth(1).expect("its chapter");
    let code = chapter.split("```python\n").nth(1).expect("its worker");
    let code = code.split("```").next().expect("its end");
    let of_the_guide = "http://127.0.0.1:8089";
    assert!(code.contains(of_the_guide), "{code}");
    overlay(folder, "worker.py", &code.replace(of_the_guide, address))
}

struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

#[test]
fn the_worker_of_the_guide_handles_everything_and_goes_on_after_a_restart() {
    let folder = Folder::new();
    let served = Served::on(&folder, "");
    let script = worker_of_the_guide(folder.path(), &served.inner);
    let worker = Worker(python(&script, &[]).spawn().expect("python3 is installed"));
    served.publish("paid", &[("1", "a"), ("2", "b"), ("3", "a")]);
    let acknowledged = || served.metric("yeoul_pull_acknowledged_total");
    eventually_is("all of them are acknowledged", &3.0, acknowledged);
    drop(worker);
    served.publish("paid", &[("4", "a")]);
    let _worker = Worker(python(&script, &[]).spawn().expect("python3 is installed"));
    eventually_is("so is what came meanwhile", &4.0, acknowledged);
}
