//! The gateway from outside, over real sockets: what passes, what is refused, and what the services
//! behind it get to see of it.

mod addresses;
mod bodies;
mod bytes;
mod calls;
mod circuit;
mod closing;
mod limits;
mod pages;
mod passing;
mod refusals;
mod sign_in;
mod sign_out;
mod support;
mod topics;
