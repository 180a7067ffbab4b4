//! What makes a process a good citizen: settings, HTTP edge, identity, telemetry, health, shutdown.
//!
//! Every program of ours stands on this and nothing else of ours stands below it, so it knows no
//! domain: no order, no view, no event. It is also the one place that touches the outside world's
//! ambient inputs, the environment ([`settings`]), the clocks ([`clock`]) and randomness
//! ([`chance`]), so that everything above can be given them as arguments.

pub mod chance;
pub mod clock;
pub mod cores;
pub mod descriptors;
pub mod folder;
pub mod health;
pub mod http;
pub mod identity;
pub mod openapi;
pub mod schema;
pub mod sealing;
pub mod settings;
pub mod telemetry;
pub mod text;

mod hex;
