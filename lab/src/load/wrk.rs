//! `wrk` as the client: its command line and its report.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{CONNECTIONS, Outcome};
use crate::error::{Error, environment};
use crate::http::Request;

pub(super) fn run(request: &Request, seconds: u64, folder: &Path) -> Result<Outcome, Error> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "--latency", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")]);
    for (name, value) in &request.headers {
        command.args(["-H", &format!("{name}: {value}")]);
    }
    if request.method != "GET" {
        let script = folder.join("request.lua");
        fs::write(&script, lua(request))?;
        command.arg("-s").arg(script);
    }
    command.arg(format!("http://{}{}", request.address, request.path));
    let output = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).ok_or_else(|| {
        let says = String::from_utf8_lossy(&output.stderr);
        environment(format!("wrk gave no report. output=`{text}`, error=`{says}`"))
    })
}

/// Method and body, which have no argument of their own. JSON without control characters is
/// escaped alike in Rust and in Lua.
fn lua(request: &Request) -> String {
    format!("wrk.method = {:?}\nwrk.body = {:?}\n", request.method, request.body)
}

fn parse(report: &str) -> Option<Outcome> {
    let line = report.lines().find(|line| line.contains(" requests in "))?;
    let (requests, rest) = line.trim().split_once(" requests in ")?;
    Some(Outcome {
        requests: requests.parse().ok()?,
        time: time(rest.split(',').next()?)?,
        refused: refusals(report),
        p50: percentile(report, "50%")?,
        p99: percentile(report, "99%")?,
    })
}

fn percentile(report: &str, name: &str) -> Option<Duration> {
    let words = report.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    words.into_iter().find_map(|words| match words[..] {
        [given, value] if given == name => time(value),
        _ => None,
    })
}

fn refusals(report: &str) -> u64 {
    let errors = report.lines().filter_map(|line| line.trim().split_once("errors: "));
    // `Socket errors: connect 0, read 0, write 0, timeout 0`: the number is the last word of each.
    let broken: u64 = errors
        .flat_map(|(_, kinds)| kinds.split(", "))
        .filter_map(|kind| kind.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    let status =
        report.lines().find_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses: "));
    broken + status.and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// `12.34us`, `1.20ms`, `3.00s`, `1.50m`.
fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.find(|c: char| c.is_ascii_alphabetic())?;
    let seconds = match &text[unit..] {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(text[..unit].parse::<f64>().ok()? * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "Running 1s test @ http://127.0.0.1:41001/\n\
        \x20 1 threads and 64 connections\n\
        \x20 Thread Stats   Avg      Stdev     Max   +/- Stdev\n\
        \x20   Latency     1.20ms    3.00ms  40.00ms   97.00%\n\
        \x20   Req/Sec    78.01k     2.10k   81.00k    90.00%\n\
        \x20 Latency Distribution\n\
        \x20    50%  803.00us\n\
        \x20    75%    1.10ms\n\
        \x20    90%    1.30ms\n\
        \x20    99%    2.50ms\n\
        \x20 77312 requests in 1.01s, 31.10MB read\n";

    #[test]
    fn a_report_is_read() {
        let outcome = parse(REPORT).unwrap();
        assert_eq!(
            outcome,
            Outcome {
                requests: 77312,
                time: Duration::from_millis(1010),
                refused: 0,
                p50: Duration::from_micros(803),
                p99: Duration::from_micros(2500),
            }
        );
        assert!((outcome.per_second() - 76546.5).abs() < 0.1);
    }

    #[test]
    fn errors_of_both_kinds_count_as_refused() {
        let errors = "  Socket errors: connect 0, read 3, write 1, timeout 2\n\
                      \x20 Non-2xx or 3xx responses: 12\n";
        assert_eq!(parse(&format!("{REPORT}{errors}")).unwrap().refused, 18);
    }

    #[test]
    fn what_is_no_report_is_none() {
        for text in ["", "unable to connect to 127.0.0.1:1 Connection refused\n"] {
            assert_eq!(parse(text), None);
        }
    }

    #[test]
    fn times_are_read_in_every_unit_and_in_no_other() {
        for (text, micros) in
            [("12.50us", 12.5), ("1.20ms", 1200.0), ("3.00s", 3e6), ("1.50m", 9e7)]
        {
            assert!((time(text).unwrap().as_secs_f64() * 1e6 - micros).abs() < 0.6, "{text}");
        }
        for text in ["", "12", "ms", "1.2d", "-1s"] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn a_body_with_quotes_survives_the_script() {
        let mut request = Request::new("POST", "127.0.0.1:1", "/");
        request.body = r#"{"a":"b"}"#.to_owned();
        assert_eq!(lua(&request), "wrk.method = \"POST\"\nwrk.body = \"{\\\"a\\\":\\\"b\\\"}\"\n");
    }
}
