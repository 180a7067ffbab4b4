//! How many file descriptors the process may have: as many as it may give itself.
//!
//! The soft limit that a shell sets (1,024 as a rule) is for programs that still use `select`; one that
//! does not raises it to the hard one. What connections may take of it is shared out here, so that a
//! flood of clients leaves room for databases and for the services behind.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{debug, warn};

/// Descriptors kept for databases, files, pollers and listeners; a quarter of the limit if that is
/// less.
pub const KEPT: usize = 192;
/// Below this a process can hardly work.
const FEW: usize = 256;

/// The limit, raised as far as it goes at the first call.
pub fn limit() -> usize {
    static LIMIT: OnceLock<usize> = OnceLock::new();
    *LIMIT.get_or_init(raise)
}

/// What of `limit` connections of all kinds may take.
pub fn for_connections(limit: usize) -> usize {
    limit - KEPT.min(limit / 4)
}

fn raise() -> usize {
    let given = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: given.maximum, maximum: given.maximum };
    let raised = setrlimit(Resource::Nofile, wanted);
    if let Err(error) = raised {
        debug!(%error, "the limit of open files stays as it is");
    }
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    if limit < FEW {
        warn!(limit, "very few files may be open; raise the hard limit (`ulimit -Hn`)");
    }
    limit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_the_hard_one_afterwards() {
        // Lower than it may be, as a shell often has it; nobody else in this process has asked before.
        let given = getrlimit(Resource::Nofile);
        let half = given.maximum.map_or(1 << 16, |hard| hard / 2);
        let lowered = Rlimit { current: Some(half), ..given };
        setrlimit(Resource::Nofile, lowered).expect("a lower one is always allowed");
        let limit = raise();
        let now = getrlimit(Resource::Nofile);
        assert!(now.current == now.maximum || cfg!(target_os = "macos"), "{now:?}");
        assert!(now.current.is_none_or(|it| it == limit as u64), "{now:?}");
    }

    #[test]
    fn what_is_kept_is_never_more_than_a_quarter() {
        for (limit, connections) in [(1_024, 832), (400, 300), (768, 576), (100_000, 99_808)] {
            assert_eq!(for_connections(limit), connections, "{limit}");
        }
    }
}
