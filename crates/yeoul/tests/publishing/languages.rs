//! With the CloudEvents library of another language, which knows nothing of us.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::*;

/// What the script prints, given an argument and an input.
fn python(argument: &str, input: &str) -> Vec<String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the target folder");
    let libraries = target.join("peers/python");
    let install = "cargo xtask services install cloudevents";
    assert!(libraries.is_dir(), "Python's libraries are missing. Install them with:\n{install}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/publishing/publish.py");
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", libraries).arg(script).arg(argument);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("python3 is installed");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).expect("text");
    printed.lines().map(str::to_owned).collect()
}

#[test]
fn pythons_library_publishes_in_binary_and_structured_mode_and_reads_what_it_published() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let printed = python(&format!("{}/events/paid", served.inner), "");
    assert_eq!(printed, ["t1.paid", "t2.paid", "t3.paid", "t4.paid"]);
    let shown = Value::from(served.events("paid")).to_string();
    let read: Vec<Value> = python("read", &shown)
        .iter()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let data = [json!({"원": 12000}), json!([0, 255]), json!({"원": 12000}), json!([0, 255])];
    let expected: Vec<Value> = (1..)
        .zip(data)
        .map(|(number, data)| {
            json!({
                "id": format!("python-{number}"), "source": "https://shop.example/계산대",
                "subject": "영수증 \"9\" 100%", "time": "2026-11-27T08:31:00.120000+00:00",
                "tenant": "가게 7", "data": data,
            })
        })
        .collect();
    assert_eq!(read, expected);
}
