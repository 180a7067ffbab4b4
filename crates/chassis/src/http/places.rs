//! The places for connections that a listener has on one core, and who has to make room.
//!
//! A connection that does nothing costs a descriptor and some memory, so anybody could take them all
//! by opening and waiting. Therefore the one that has been idle longest makes room for a new one, and
//! one address has at most half of the places: past that its own oldest makes room, or it is
//! refused. Only where every connection is at work a new one waits.
//!
//! Idle is: no request whose head has come, and no answer on its way. Looking for the oldest goes over
//! all places, and only when they are taken; a request costs two stores.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Shutdown};
use std::rc::{Rc, Weak};

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::networks::{Networks, network};

/// Places of one listener on one core, and whose they are.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// How many there are.
    pub(super) places: usize,
    /// Whether one address may have half of them at most.
    pub(super) fair: bool,
    /// Addresses that may have any number.
    pub(super) trusted: Networks,
}

/// The places as they are taken.
#[derive(Debug)]
pub(super) struct Places {
    room: Room,
    seats: RefCell<Vec<Rc<Occupant>>>,
    /// How many each address has.
    taken: RefCell<HashMap<IpAddr, usize>>,
    /// Counts up whenever a connection becomes idle.
    turn: Cell<u64>,
    /// Whether somebody waits for a place.
    wanted: Cell<bool>,
    freed: Notify,
}

/// Who sits on a place.
#[derive(Debug)]
struct Occupant {
    address: IpAddr,
    /// Where it stands among the seats, while it does.
    at: Cell<Option<usize>>,
    /// Since which turn it has been idle; `None` while it works.
    idle: Cell<Option<u64>>,
    stream: Weak<RefCell<TcpStream>>,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seat: Rc<Occupant>,
    places: Rc<Places>,
}

impl Places {
    pub(super) fn new(room: Room) -> Places {
        Places {
            room,
            seats: RefCell::default(),
            taken: RefCell::default(),
            turn: Cell::default(),
            wanted: Cell::default(),
            freed: Notify::new(),
        }
    }

    /// A place for a connection of `address`, at the cost of one that is idle if need be; `None` where
    /// the address has its share and works on all of it.
    pub(super) async fn take(
        self: &Rc<Self>,
        address: IpAddr,
        stream: &Rc<RefCell<TcpStream>>,
    ) -> Option<Seat> {
        let address = network(address);
        // Its own first: whoever has much makes room for himself, not at the cost of others.
        if self.has_its_share(address) && !self.make_room(|seat| seat.address == address) {
            return None;
        }
        // Looked at again after each wake-up: that somebody rests does not yet mean that there is room.
        while self.seats.borrow().len() >= self.room.places && !self.make_room(|_| true) {
            self.wanted.set(true);
            self.freed.notified().await;
        }
        Some(self.sit(address, stream))
    }

    /// Lets the connection go that has been idle longest; whether there was one.
    pub(super) fn make_room_for_any(&self) -> bool {
        self.make_room(|_| true)
    }

    fn has_its_share(&self, address: IpAddr) -> bool {
        let share = self.room.places.div_ceil(2);
        self.room.fair
            && self.taken.borrow().get(&address).is_some_and(|taken| *taken >= share)
            && !self.room.trusted.contains(address)
    }

    fn make_room(&self, fits: impl Fn(&Occupant) -> bool) -> bool {
        let oldest = {
            let seats = self.seats.borrow();
            let idle = seats.iter().filter(|seat| seat.idle.get().is_some() && fits(seat));
            idle.min_by_key(|seat| seat.idle.get()).cloned()
        };
        let Some(seat) = oldest else { return false };
        // Its seat is free from here on; its task ends later, and leaving a second time does nothing.
        self.leave(&seat);
        if let Some(stream) = seat.stream.upgrade() {
            // Its task sees the end and lets go of the socket.
            let _ = SockRef::from(&*stream.borrow()).shutdown(Shutdown::Both);
        }
        true
    }

    fn sit(self: &Rc<Self>, address: IpAddr, stream: &Rc<RefCell<TcpStream>>) -> Seat {
        let mut seats = self.seats.borrow_mut();
        let seat = Rc::new(Occupant {
            address,
            at: Cell::new(Some(seats.len())),
            idle: Cell::new(Some(self.next_turn())),
            stream: Rc::downgrade(stream),
        });
        seats.push(seat.clone());
        *self.taken.borrow_mut().entry(address).or_insert(0) += 1;
        Seat { seat, places: self.clone() }
    }

    fn leave(&self, seat: &Occupant) {
        let Some(at) = seat.at.take() else { return };
        let mut seats = self.seats.borrow_mut();
        // The last one takes its seat, and has to know.
        seats.swap_remove(at);
        if let Some(moved) = seats.get(at) {
            moved.at.set(Some(at));
        }
        let mut taken = self.taken.borrow_mut();
        if let Some(count) = taken.get_mut(&seat.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&seat.address);
            }
        }
        self.notify();
    }

    fn next_turn(&self) -> u64 {
        let turn = self.turn.get() + 1;
        self.turn.set(turn);
        turn
    }

    /// Wakes whoever waits for a place.
    fn notify(&self) {
        // One waits at a time, the loop that accepts; so one wake-up is enough, and nobody is woken for nothing.
        if self.wanted.replace(false) {
            self.freed.notify_one();
        }
    }
}

impl Seat {
    /// A request begins.
    pub(super) fn works(&self) {
        self.seat.idle.set(None);
    }

    /// Its answer is done.
    pub(super) fn rests(&self) {
        self.seat.idle.set(Some(self.places.next_turn()));
        self.places.notify();
    }
}

/// Kept by an answer: while it is on its way, its connection is at work.
#[derive(Debug)]
pub(super) struct Working(Rc<Seat>);

impl Working {
    /// Of the connection that has this place.
    pub(super) fn new(place: Rc<Seat>) -> Working {
        Working(place)
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.rests();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.leave(&self.seat);
    }
}

#[cfg(test)]
mod tests;
