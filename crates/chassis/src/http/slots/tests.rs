//! Who makes room for whom, with real sockets.

use std::net::Ipv4Addr;

use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use super::*;

/// A connection in a slot, and its other end.
struct Guest {
    slot: Slot,
    far: TcpStream,
    _near: Rc<RefCell<TcpStream>>,
}

impl Guest {
    /// Whether it has been let go.
    async fn is_out(&mut self) -> bool {
        let mut byte = [0; 1];
        let read = self.far.read(&mut byte);
        tokio::time::timeout(std::time::Duration::from_millis(50), read).await.is_ok()
    }
}

fn with(slots: usize, fair: bool, trusted: &str) -> Rc<Slots> {
    let trusted = serde_json::from_str(trusted).expect("networks");
    Rc::new(Slots::new(SlotLimits { slots, fair, trusted }))
}

fn address(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

async fn enter(slots: &Rc<Slots>, address: IpAddr) -> Option<Guest> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let far = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("connected");
    let near = Rc::new(RefCell::new(listener.accept().await.expect("accepted").0));
    let slot = slots.take(address, &near).await?;
    Some(Guest { slot, far, _near: near })
}

async fn entered(slots: &Rc<Slots>, last: u8) -> Guest {
    in_time(enter(slots, address(last))).await
}

/// A wait that nobody ends is a failure and no test that hangs.
async fn in_time(enters: impl Future<Output = Option<Guest>>) -> Guest {
    let limit = std::time::Duration::from_secs(10);
    let guest = tokio::time::timeout(limit, enters).await;
    guest.expect("somebody makes room").expect("a slot")
}

async fn local(test: impl Future<Output = ()>) {
    LocalSet::new().run_until(test).await;
}

#[tokio::test]
async fn the_one_that_is_idle_longest_makes_room() {
    local(async {
        let slots = with(3, false, "[]");
        let mut guests =
            [entered(&slots, 1).await, entered(&slots, 2).await, entered(&slots, 3).await];
        guests[0].slot.set_busy();
        guests[0].slot.set_idle();
        guests[2].slot.set_busy();
        let mut fourth = entered(&slots, 4).await;
        assert!(guests[1].is_out().await, "the second has done nothing since it came");
        let _fifth = entered(&slots, 5).await;
        assert!(guests[0].is_out().await, "then the first");
        assert!(!guests[2].is_out().await, "one at work stays");
        assert!(!fourth.is_out().await);
        assert_eq!(slots.occupants.borrow().len(), 3);
    })
    .await;
}

#[tokio::test]
async fn where_all_are_at_work_a_new_one_waits_until_one_is_idle_or_leaves() {
    local(async {
        let slots = with(1, false, "[]");
        let first = entered(&slots, 1).await;
        first.slot.set_busy();
        let waiting = enter(&slots, address(2));
        tokio::pin!(waiting);
        let soon = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err(), "nobody makes room");
        first.slot.set_idle();
        let second = in_time(waiting).await;
        second.slot.set_busy();
        let waiting = enter(&slots, address(3));
        tokio::pin!(waiting);
        assert!(tokio::time::timeout(soon, &mut waiting).await.is_err());
        drop(second);
        in_time(waiting).await;
    })
    .await;
}

#[tokio::test]
async fn one_address_has_half_of_the_places_unless_it_is_trusted() {
    local(async {
        let slots = with(4, true, r#"["192.0.2.9/32"]"#);
        let (mut one, two) = (entered(&slots, 1).await, entered(&slots, 1).await);
        let mut other = entered(&slots, 2).await;
        let three = entered(&slots, 1).await;
        assert!(one.is_out().await, "its own oldest makes room");
        assert!(!other.is_out().await, "another's does not");
        two.slot.set_busy();
        three.slot.set_busy();
        assert!(enter(&slots, address(1)).await.is_none(), "it works on all it may have");
        drop((one, two, three, other));
        assert!(slots.per_address.borrow().is_empty(), "what is given back is not counted");

        let mut trusted = Vec::new();
        for _ in 0..4 {
            trusted.push(entered(&slots, 9).await);
        }
        assert_eq!(slots.occupants.borrow().len(), 4);
    })
    .await;
}

#[test]
fn an_address_of_ipv6_is_the_network_that_a_customer_gets() {
    let same = |one: &str, other: &str| {
        network(one.parse().expect("one")) == network(other.parse().expect("one"))
    };
    assert!(same("2001:db8::1", "2001:db8::ffff:1"));
    assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
    assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
    assert!(!same("192.0.2.1", "192.0.2.2"));
}
