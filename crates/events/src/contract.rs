//! The promises every broker keeps, as a suite that any engine's tests can call.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{Broker, Topic};

/// A broker that is being opened.
pub type Opening = Pin<Box<dyn Future<Output = Arc<dyn Broker>> + Send>>;

/// A fresh, empty broker and the way to close and open it again.
pub struct Fixture {
    /// It has the topics `alpha` and `beta` and nothing stored.
    pub broker: Arc<dyn Broker>,
    /// Opens the same storage again, after the broker was dropped.
    pub reopen: Box<dyn Fn() -> Opening + Send + Sync>,
}

/// The two topics every fixture has.
pub fn topics() -> [Topic; 2] {
    todo!()
}

/// Runs every case against fresh brokers; panics at the first broken promise.
pub async fn suite<F, R>(make: F)
where
    F: Fn() -> R,
    R: Future<Output = Fixture>,
{
    let _ = make().await;
    todo!()
}
