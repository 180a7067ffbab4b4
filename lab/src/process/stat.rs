//! The kernel's account of a process: `/proc/PID/stat` and `/proc/PID/status`, see proc(5).

use std::fs;
use std::time::Duration;

/// The kernel counts CPU time for users in hundredths of a second, whatever its own clock.
const TICK: Duration = Duration::from_millis(10);
/// Processes a server may consist of.
const FAMILY_MAX: usize = 1_000;

/// One process as the kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) pid: u32,
    parent: u32,
    /// Ended, and not yet waited for.
    pub(super) ended: bool,
    /// User and system time.
    pub(super) cpu: Duration,
    /// When it began, in ticks since boot: with the pid this names a process for good.
    pub(super) began: u64,
}

/// A process and all that descend from it.
pub(super) fn family(pid: u32) -> Vec<Stat> {
    let all: Vec<Stat> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| read(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .collect();
    descendants(pid, &all)
}

/// What the kernel says of a process, if it is there.
pub(super) fn read(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Memory that a process has in use.
pub(super) fn resident_bytes(pid: u32) -> Option<u64> {
    parse_resident(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn descendants(pid: u32, all: &[Stat]) -> Vec<Stat> {
    let mut family: Vec<Stat> = all.iter().filter(|one| one.pid == pid).copied().collect();
    let mut at = 0;
    // Breadth first over a list that grows: whoever is found is asked for children of its own later in the same
    // walk.
    while at < family.len() && family.len() < FAMILY_MAX {
        let parent = family[at].pid;
        family.extend(all.iter().filter(|one| one.parent == parent && one.pid != pid));
        at += 1;
    }
    family
}

/// The program's name stands in brackets and may contain anything, brackets too: what follows the
/// last one is counted.
fn parse(stat: &str) -> Option<Stat> {
    let (pid, rest) = stat.split_once(' ')?;
    let fields: Vec<&str> = rest.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    // Counted from the state, which is the third field of the line: `utime` and `stime` are its 14th and 15th.
    let ticks = u32::try_from(number(11)? + number(12)?).ok()?;
    Some(Stat {
        pid: pid.parse().ok()?,
        parent: u32::try_from(number(1)?).ok()?,
        ended: matches!(*fields.first()?, "Z" | "X"),
        cpu: TICK * ticks,
        began: number(19)?,
    })
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str =
        "42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 250 75 9 9 20 0 3 0 5170 1 2 3";

    #[test]
    fn a_line_is_read_past_a_name_with_brackets() {
        assert_eq!(
            parse(LINE),
            Some(Stat {
                pid: 42,
                parent: 7,
                ended: false,
                cpu: Duration::from_millis(3250),
                began: 5170
            })
        );
        assert!(parse(&LINE.replace(") S ", ") Z ")).unwrap().ended);
    }

    #[test]
    fn a_line_that_is_cut_off_is_none() {
        for text in ["", "42", "42 (x", "42 (x) S 7 42", "42 (x) S 7 42 42 0 -1 0 1 0 0 0 a b"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_in_any_order() {
        let one = |pid, parent| Stat { pid, parent, ended: false, cpu: TICK, began: 0 };
        let all = [one(9, 5), one(5, 2), one(2, 1), one(3, 1), one(7, 3), one(6, 2)];
        let mut pids: Vec<u32> = descendants(2, &all).iter().map(|one| one.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [2, 5, 6, 9]);
        assert_eq!(descendants(4, &all), []);
    }

    #[test]
    fn resident_memory_is_in_bytes() {
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t   2048 kB\n"), Some(2_097_152));
        assert_eq!(parse_resident("Name:\tkthread\n"), None);
    }

    #[test]
    fn this_process_is_in_its_own_family() {
        assert!(family(std::process::id()).iter().any(|one| one.pid == std::process::id()));
    }
}
