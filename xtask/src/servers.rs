//! What a chore starts beside itself and has end with it: Kafka, PostgreSQL, and any other process.
//!
//! A server's files are kept in a folder that the chore names, and it goes on from there the next time.

pub(crate) mod kafka;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod restarts;

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::Failure;

/// Between two looks at the processes.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Whether the end is wanted.
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Nobody wants it; what is started ends with this process.
    pub(crate) fn never() -> Stop {
        Stop(Arc::default())
    }

    /// From now on SIGINT and SIGTERM are wishes.
    pub(crate) fn listen() -> Result<Stop, Failure> {
        let wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, wanted.clone())?;
        }
        Ok(Stop(wanted))
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Ports that are free now.
pub(crate) fn free_ports() -> Result<[u16; 3], Failure> {
    // All three are bound before one is let go, so that none is given out twice.
    let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0"));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(held) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}

#[expect(clippy::disallowed_methods, reason = "a chore has no clock to be given")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "between two looks at other processes")]
pub(crate) fn pause() {
    std::thread::sleep(LOOK_EVERY);
}
