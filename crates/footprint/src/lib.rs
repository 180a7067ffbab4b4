//! Memory that only a program's start needed, given back.
//!
//! A start runs much of a program once: the command line, settings, schemas, first connections. The pages of the file
//! that it touched, and those that the system mapped along with them, stay resident and are counted with every process
//! of the program, although most of them are never used again. One call after the start leaves them: what is needed
//! again is found in the system's cache of the file, without a read where it is still there.
//!
//! The only member with `unsafe`: docs/decisions/0077-code-of-the-start.md says why, and what it rests on. It does not
//! touch what the program writes, nor libraries, whose files may be overwritten in place.

use std::io;
#[cfg(target_os = "linux")]
use std::ops::Range;

/// Leaves the resident pages of the program's own file, code and constants, and says how many bytes of it are mapped so:
/// 0 on another system than Linux, where nothing is done.
///
/// # Errors
///
/// What the system says; nothing is different then, and there is nothing to do for it.
pub fn leave_file() -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    return linux::leave_file();
    #[cfg(not(target_os = "linux"))]
    Ok(0)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    use rustix::mm::{Advice, madvise};

    use super::{Range, as_in_file, io};

    pub(super) fn leave_file() -> io::Result<usize> {
        let program = fs::read_link("/proc/self/exe")?.to_string_lossy().into_owned();
        let smaps = fs::read_to_string("/proc/self/smaps")?;
        as_in_file(&smaps, &program).map(|range| leave(&range).map(|()| range.len())).sum()
    }

    #[expect(unsafe_code, reason = "no safe call leaves pages that are mapped")]
    fn leave(range: &Range<usize>) -> io::Result<()> {
        let start = std::ptr::without_provenance_mut(range.start);
        // SAFETY: a whole mapping of the program's own file, which stays mapped for as long as the program runs. It
        // cannot be written and holds no page that differs from the file, and the file cannot be written while it runs
        // (ETXTBSY). The next access finds the very same bytes.
        unsafe { madvise(start, range.len(), Advice::LinuxDontNeed) }?;
        Ok(())
    }
}

/// Where `program` is mapped, not to be written, and no page is another than the file's: neither one that the loader
/// relocated nor one that a debugger wrote a breakpoint into, be it in memory or swapped out.
///
/// `smaps` is `/proc/self/smaps` (proc_pid_smaps(5)): a line for each mapping, and after it one for each of its figures.
#[cfg(target_os = "linux")]
fn as_in_file(smaps: &str, program: &str) -> impl Iterator<Item = Range<usize>> {
    let ends = format!(" {program}");
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut is_its = false;
    for line in smaps.lines() {
        if let Some(range) = mapping(line) {
            let cannot_be_written = line.contains(" r-xp ") || line.contains(" r--p ");
            is_its = cannot_be_written && line.ends_with(&ends);
            found.extend(Some(range).filter(|_| is_its));
        } else if is_its && is_of_its_own(line) {
            found.pop();
            is_its = false;
        }
    }
    found.into_iter()
}

/// Its addresses, where the line begins a mapping: `555500001000-555500003000 r-xp …`.
#[cfg(target_os = "linux")]
fn mapping(line: &str) -> Option<Range<usize>> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let number = |text| usize::from_str_radix(text, 16).ok();
    Some(number(start)?..number(end)?)
}

/// Whether a figure says that a mapping has pages of its own.
#[cfg(target_os = "linux")]
fn is_of_its_own(line: &str) -> bool {
    let figure = line.strip_prefix("Anonymous:").or_else(|| line.strip_prefix("Swap:"));
    figure.is_some_and(|figure| figure.trim() != "0 kB")
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_in_the_programs_own_file_is_found() {
        let smaps = "\
555500000000-555500001000 r--p 00000000 fe:00 12 /opt/yeoul
Rss:                   4 kB
Anonymous:             0 kB
Swap:                  0 kB
555500001000-555500003000 r-xp 00001000 fe:00 12 /opt/yeoul
Anonymous:             0 kB
Swap:                  0 kB
555500003000-555500004000 r--p 00003000 fe:00 12 /opt/yeoul
Anonymous:             4 kB
Swap:                  0 kB
555500004000-555500005000 r--p 00003000 fe:00 12 /opt/yeoul
Anonymous:             0 kB
Swap:                  4 kB
555500005000-555500006000 rw-p 00004000 fe:00 12 /opt/yeoul
Anonymous:             0 kB
Swap:                  0 kB
7f0000000000-7f0000001000 r-xp 00000000 fe:00 13 /usr/lib/libc.so.6
Anonymous:             0 kB
7f0000002000-7f0000003000 r-xp 00000000 fe:00 14 /srv/opt/yeoul
Anonymous:             0 kB
7fff00000000-7fff00001000 r-xp 00000000 00:00 0  [vdso]
Anonymous:             0 kB
";
        let found = |program| as_in_file(smaps, program).collect::<Vec<_>>();
        let first = 0x5555_0000_0000..0x5555_0000_1000;
        assert_eq!(found("/opt/yeoul"), [first, 0x5555_0000_1000..0x5555_0000_3000]);
        assert_eq!(found("/opt/yeoul (deleted)"), []);
    }
}
