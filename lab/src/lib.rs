//! The lab: how fast the program is, measured beside the peers it is compared with.
//!
//! A figure alone says nothing of a program, only of a machine; so every bench runs the thing it is
//! compared with in the same run, in turns, and judges the ratio. CPU per request is the server's own
//! user and system time, read from the kernel, so that it does not depend on how strong the client
//! is. Everything started here ends by itself and is ended by its process id.
//!
//! The program is a process to the lab, as it is to its users: a command line, HTTP, and one line of
//! JSON when it is ready. The lab knows nothing of its insides, makes no figure up, and installs
//! nothing: a peer that is missing is named with the command that installs it.

mod bars;
mod bench;
mod clock;
mod contest;
mod error;
mod fixture;
mod http;
mod load;
mod mall;
mod peer;
mod process;
mod program;
mod report;
mod schedule;

pub use bench::{Bench, Built, Name, SECONDS, Settings, run};
pub use error::Error;
pub use fixture::{End, make as make_fixture};
