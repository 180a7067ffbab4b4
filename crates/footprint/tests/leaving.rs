//! What is resident of a program's file before and after, and that it runs on. Alone in its program: other tests would
//! touch code meanwhile.

#![cfg(target_os = "linux")]

use std::fs;

/// Resident kB of this program's code, as /proc/self/smaps has it.
fn resident() -> usize {
    let program = fs::read_link("/proc/self/exe").expect("a link");
    let smaps = fs::read_to_string("/proc/self/smaps").expect("a file");
    let name = program.to_str().expect("text");
    let is_code = |line: &str| line.contains(" r-xp ") && line.ends_with(name);
    let mut lines = smaps.lines().skip_while(|line| !is_code(line));
    let resident = lines.find_map(|line| line.strip_prefix("Rss:")).expect("a figure");
    resident.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[test]
fn what_was_resident_of_the_file_is_left_and_the_program_runs_on() {
    let file = fs::metadata("/proc/self/exe").expect("a file").len();
    let before = resident();
    let left = yeoul_footprint::leave_file().expect("the system takes it");
    let after = resident();
    assert!(0 < left && (left as u64) < file, "{left} of {file}");
    assert!(after < before, "{after} of {before} kB");
    assert_eq!(std::hint::black_box("runs on").to_uppercase(), "RUNS ON");
}
