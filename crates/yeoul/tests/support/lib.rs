//! The harness of the black-box suite: a mall at base URLs, and what a client does to it.
//!
//! Nothing here knows the program's insides: a mall is the one line of JSON it prints when it is
//! ready, and everything else goes over HTTP. Set `YEOUL_BASE` to such a line to point the suite at
//! a mall that already runs (then with `--test-threads=1`, for tests that switch services off share
//! it; tests that must kill or restart a process pass over it and say so).
//!
//! It does not decide what is right: that is in the test files, beside the sentence they hold.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part of the harness")]

pub(crate) mod books;
mod client;
pub(crate) mod described;
mod mall;
mod program;
mod random;
mod raw;
pub(crate) mod sent;
mod shop;
mod stream;
mod time;

pub(crate) use client::{Answer, Call};
pub(crate) use mall::{Folder, LISTENERS, Mall, is_elsewhere, setting};
pub(crate) use program::{
    Outcome, SIGNING, Started, overlay, run, run_in, signal, text, wait_at_most, yeoul,
};
pub(crate) use random::Random;
pub(crate) use raw::{RawAnswer, Talk, connect, raw};
pub(crate) use shop::{Customer, Placed, Sold, data_of, kinds, unique};
pub(crate) use stream::{Message, Stream};
pub(crate) use time::{
    Done, SOON, eventually, eventually_is, now, pause, stays, timed, within, within_is,
};
