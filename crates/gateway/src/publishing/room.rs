//! Room for bodies that are on their way to the log: taken as bytes come, and never all of it by one client.
//!
//! What a body says of its size costs nobody anything before it comes: a client that says much and sends nothing would
//! else keep others out for as long as it is waited for. So a body has a little from the start, which bounds how many there
//! are, and for each KiB beyond that it asks when the KiB is there. Where there is none the publisher is told to come back,
//! in the middle of its body too: nothing was stored. Half of all is the most that bodies of one client have together, be
//! they slow or many; behind a proxy that is not trusted everybody is one.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chassis::chance;
use chassis::http::{Problem, networks};

/// KiB of bodies that may be on their way to the log together, each counted from its head to its answer; past it a
/// publisher is told to come back.
pub(crate) const PUBLISHING_KIB_MAX: usize = 64 * 1024;

/// KiB of them that may be of one client.
const PUBLISHING_KIB_MAX_PER_CLIENT: usize = PUBLISHING_KIB_MAX / 2;

/// KiB that a body counts at least: so many fit that each of them costs a connection rather than memory.
const PUBLISH_KIB_MIN: usize = 16;

/// When it is worth coming back.
const RETRY_SECONDS: u64 = 1;

/// All of it; what all cores publish by.
#[derive(Default)]
pub(super) struct Room(Mutex<Taken>);

/// What is taken, in KiB. Clients that have nothing under way are not in it, so there are as many as bodies at most.
#[derive(Default)]
struct Taken {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// What one body has of it, until it is dropped.
pub(super) struct BodyRoom<'r> {
    room: &'r Room,
    client: IpAddr,
    kib: usize,
    bytes: usize,
}

impl Room {
    /// Room for a body of which nothing has come yet, of a client at this address.
    pub(super) fn for_body(&self, client: IpAddr) -> Result<BodyRoom<'_>, Problem> {
        let client = networks::network(client);
        self.take(client, PUBLISH_KIB_MIN)?;
        Ok(BodyRoom { room: self, client, kib: PUBLISH_KIB_MIN, bytes: 0 })
    }

    fn take(&self, client: IpAddr, kib: usize) -> Result<(), Problem> {
        let mut taken = self.taken();
        let of_client = taken.by_client.get(&client).copied().unwrap_or(0) + kib;
        if of_client > PUBLISHING_KIB_MAX_PER_CLIENT || taken.total + kib > PUBLISHING_KIB_MAX {
            return Err(full());
        }
        taken.total += kib;
        taken.by_client.insert(client, of_client);
        Ok(())
    }

    fn give_back(&self, client: IpAddr, kib: usize) {
        let mut taken = self.taken();
        taken.total = taken.total.saturating_sub(kib);
        let left = taken.by_client.remove(&client).unwrap_or(0).saturating_sub(kib);
        if left > 0 {
            taken.by_client.insert(client, left);
        }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodyRoom<'_> {
    /// So many bytes more have come.
    ///
    /// # Errors
    /// 503: there is no room for them.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        self.bytes += bytes;
        let more = self.bytes.div_ceil(1024).saturating_sub(self.kib);
        if more > 0 {
            self.room.take(self.client, more)?;
            self.kib += more;
        }
        Ok(())
    }
}

impl Drop for BodyRoom<'_> {
    fn drop(&mut self) {
        self.room.give_back(self.client, self.kib);
    }
}

fn full() -> Problem {
    Problem::unavailable("connection_limit_reached", chance::seconds(RETRY_SECONDS))
        .detail("more waits to be stored than has room; nothing was stored")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn client(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn status<T>(refused: Result<T, Problem>) -> Option<u16> {
        refused.err().map(|refused| refused.status().as_u16())
    }

    #[test]
    fn who_sends_nothing_takes_next_to_nothing_and_all_is_given_back() {
        let room = Room::default();
        let idle: Vec<_> = (0..1000).map(|_| room.for_body(client(1))).collect();
        assert!(idle.iter().all(Result::is_ok), "whatever they say that they will send");
        let mut body = room.for_body(client(2)).expect("room");
        assert_eq!(status(body.grow(8 * MIB)), None);
        drop((idle, body));
        let taken = room.taken();
        assert_eq!((taken.total, taken.by_client.len()), (0, 0));
    }

    #[test]
    fn one_client_has_half_of_it_at_most_and_together_they_have_all() {
        let room = Room::default();
        let mut bodies = Vec::new();
        let mut send = |last: u8| {
            let mut body = room.for_body(client(last))?;
            body.grow(8 * MIB)?;
            bodies.push(body);
            Ok(())
        };
        for (last, refused) in
            [(1, None), (1, None), (1, None), (1, None), (1, Some(503)), (2, None), (2, None)]
        {
            assert_eq!(status(send(last)), refused, "{last}");
        }
        assert_eq!([2, 3, 4].map(|last| status(send(last))), [None, None, Some(503)]);
        // What one has given back another may have.
        bodies.truncate(6);
        let mut late = room.for_body(client(4)).expect("room");
        assert_eq!(status(late.grow(8 * MIB)), None);
        assert_eq!(status(late.grow(8 * MIB + 1)), Some(503));
    }

    #[test]
    fn an_address_of_another_form_is_the_same_client() {
        let room = Room::default();
        let mut one = room.for_body(client(1)).expect("room");
        one.grow(PUBLISHING_KIB_MAX_PER_CLIENT * 1024).expect("room for all that one may have");
        assert_eq!(
            status(room.for_body("::ffff:192.0.2.1".parse().expect("an address"))),
            Some(503)
        );
        assert_eq!(status(room.for_body(client(2))), None);
    }
}
