//! The only readers of the machine's clocks.
//!
//! Everything else takes the time as an argument or as a component, which is what makes a circuit
//! breaker or a retry testable without waiting. `clippy.toml` bans the bare calls elsewhere.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;

/// The monotonic clock, for durations and deadlines.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, for what people and other machines read.
#[expect(clippy::disallowed_methods, reason = "the one place that may")]
pub fn wall() -> Timestamp {
    Timestamp::now()
}

/// The wall clock as a component, for constructors that take one.
pub fn component() -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
    Arc::new(wall)
}
