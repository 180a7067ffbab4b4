//! The slots for connections that a listener has on one core, and who has to make room.
//!
//! A connection that does nothing costs a descriptor and some memory, so anybody could take them all
//! by opening and waiting. Therefore the one that has been idle longest makes room for a new one, and
//! one address has at most half of the slots: past that its own oldest makes room, or it is
//! refused. Only where every connection is at work a new one waits.
//!
//! Idle is: no request whose head has come, and no answer on its way. Looking for the oldest goes over
//! all slots, and only when they are taken; a request costs two stores.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, Shutdown};
use std::rc::{Rc, Weak};

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::networks::{Networks, network};

/// Slots of one listener on one core, and whose they are.
#[derive(Clone, Debug)]
pub(super) struct SlotLimits {
    /// How many there are.
    pub(super) slots: usize,
    /// Whether one address may have half of them at most.
    pub(super) fair: bool,
    /// Addresses that may have any number.
    pub(super) trusted: Networks,
}

/// Slots of one listener, and who has them.
#[derive(Debug)]
pub(super) struct Slots {
    limits: SlotLimits,
    occupants: RefCell<Vec<Rc<Occupant>>>,
    /// How many each address has.
    per_address: RefCell<HashMap<IpAddr, usize>>,
    /// Counts up whenever a connection becomes idle.
    turn: Cell<u64>,
    /// Whether somebody waits for a slot.
    wanted: Cell<bool>,
    freed: Notify,
}

/// Who has a slot.
#[derive(Debug)]
struct Occupant {
    address: IpAddr,
    /// Where it stands among the occupants, while it does.
    at: Cell<Option<usize>>,
    /// Since which turn it has been idle; `None` while it works.
    idle: Cell<Option<u64>>,
    stream: Weak<RefCell<TcpStream>>,
}

/// A connection's slot, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    occupant: Rc<Occupant>,
    slots: Rc<Slots>,
}

impl Slots {
    pub(super) fn new(limits: SlotLimits) -> Slots {
        Slots {
            limits,
            occupants: RefCell::default(),
            per_address: RefCell::default(),
            turn: Cell::default(),
            wanted: Cell::default(),
            freed: Notify::new(),
        }
    }

    /// A slot for a connection of `address`, at the cost of one that is idle if need be; `None` where
    /// the address has its share and works on all of it.
    pub(super) async fn take(
        self: &Rc<Self>,
        address: IpAddr,
        stream: &Rc<RefCell<TcpStream>>,
    ) -> Option<Slot> {
        let address = network(address);
        // Its own first: whoever has much makes room for himself, not at the cost of others.
        if self.has_its_share(address) && !self.make_room(|occupant| occupant.address == address) {
            return None;
        }
        // Looked at again after each wake-up: that somebody is idle does not yet mean that there is room.
        while self.occupants.borrow().len() >= self.limits.slots && !self.make_room(|_| true) {
            self.wanted.set(true);
            self.freed.notified().await;
        }
        Some(self.occupy(address, stream))
    }

    /// Lets the connection go that has been idle longest; whether there was one.
    pub(super) fn make_room_for_any(&self) -> bool {
        self.make_room(|_| true)
    }

    fn has_its_share(&self, address: IpAddr) -> bool {
        let share = self.limits.slots.div_ceil(2);
        self.limits.fair
            && self.per_address.borrow().get(&address).is_some_and(|taken| *taken >= share)
            && !self.limits.trusted.contains(address)
    }

    fn make_room(&self, fits: impl Fn(&Occupant) -> bool) -> bool {
        let oldest = {
            let occupants = self.occupants.borrow();
            let idle =
                occupants.iter().filter(|occupant| occupant.idle.get().is_some() && fits(occupant));
            idle.min_by_key(|occupant| occupant.idle.get()).cloned()
        };
        let Some(occupant) = oldest else { return false };
        // Its slot is free from here on; its task ends later, and leaving a second time does nothing.
        self.leave(&occupant);
        if let Some(stream) = occupant.stream.upgrade() {
            // Its task sees the end and lets go of the socket.
            let _ = SockRef::from(&*stream.borrow()).shutdown(Shutdown::Both);
        }
        true
    }

    fn occupy(self: &Rc<Self>, address: IpAddr, stream: &Rc<RefCell<TcpStream>>) -> Slot {
        let mut occupants = self.occupants.borrow_mut();
        let occupant = Rc::new(Occupant {
            address,
            at: Cell::new(Some(occupants.len())),
            idle: Cell::new(Some(self.next_turn())),
            stream: Rc::downgrade(stream),
        });
        occupants.push(occupant.clone());
        *self.per_address.borrow_mut().entry(address).or_insert(0) += 1;
        Slot { occupant, slots: self.clone() }
    }

    fn leave(&self, occupant: &Occupant) {
        let Some(at) = occupant.at.take() else { return };
        let mut occupants = self.occupants.borrow_mut();
        // The last one takes its slot, and has to know.
        occupants.swap_remove(at);
        if let Some(moved) = occupants.get(at) {
            moved.at.set(Some(at));
        }
        let mut taken = self.per_address.borrow_mut();
        if let Some(count) = taken.get_mut(&occupant.address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&occupant.address);
            }
        }
        self.notify();
    }

    fn next_turn(&self) -> u64 {
        let turn = self.turn.get() + 1;
        self.turn.set(turn);
        turn
    }

    /// Wakes whoever waits for a slot.
    fn notify(&self) {
        // One waits at a time, the loop that accepts; so one wake-up is enough, and nobody is woken for nothing.
        if self.wanted.replace(false) {
            self.freed.notify_one();
        }
    }
}

impl Slot {
    /// A request begins.
    pub(super) fn set_busy(&self) {
        self.occupant.idle.set(None);
    }

    /// Its answer is done.
    pub(super) fn set_idle(&self) {
        self.occupant.idle.set(Some(self.slots.next_turn()));
        self.slots.notify();
    }
}

/// Kept by an answer: while it is on its way, its connection is at work.
#[derive(Debug)]
pub(super) struct BusySlot(Rc<Slot>);

impl BusySlot {
    /// Of the connection that has this slot.
    pub(super) fn new(slot: Rc<Slot>) -> BusySlot {
        BusySlot(slot)
    }
}

impl Drop for BusySlot {
    fn drop(&mut self) {
        self.0.set_idle();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.leave(&self.occupant);
    }
}

#[cfg(test)]
mod tests;
