//! Who waits is woken, by no clock. In a file alone: behind a connection a clock that stands still means nothing.

use crate::mall::{Mall, event, order};
use crate::waiting::{LONG, Running};

/// No time passes here: while a thread of the runtime is busy, its clock stands where it was put. So nobody who looks
/// again after a pause, however short, ever does.
#[tokio::test(start_paused = true)]
async fn who_waits_is_woken_by_the_commit_and_by_no_clock() {
    let (over, until) = std::sync::mpsc::sync_channel::<()>(1);
    // Should it not be over by then, time passes again and the wait ends with what it waits for at most.
    let busy = tokio::task::spawn_blocking(move || until.recv_timeout(LONG).is_ok());
    let running = Running::start(Mall::new()).await;
    for id in 1..=20 {
        let (waiting, ()) = tokio::join!(
            running.wait("order", id, LONG),
            running.publish(vec![event("order", id, "OrderPlaced", order(id, "a@b", 1, 1))]),
        );
        assert_eq!(waiting, Ok(()), "{id}");
    }
    // Nobody hears it where it took too long already.
    _ = over.send(());
    assert!(busy.await.expect("no panic"), "it took as long as anybody would have waited");
}
