//! Announcements of a schema: a channel that is called as the schema is.

use std::convert::Infallible;

use sqlx::PgPool;
use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::rows::Rows;
use super::server::Server;
use crate::error::Error;
use crate::wait::Backoff;

/// A listener in a task of its own: a read from its connection must not be given up half-way.
pub(in crate::store) struct Announcements {
    heard: watch::Receiver<()>,
    listener: JoinHandle<()>,
}

impl Announcements {
    /// See [`crate::store::announcements::Announcements::next`].
    pub(in crate::store) async fn next(&mut self) {
        if self.heard.changed().await.is_err() {
            // The listener's runtime has ended, and with it whoever could announce to this process.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Announcements {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Server {
    /// Begins to listen.
    pub(in crate::store) fn announcements(&self) -> Announcements {
        let (tell, heard) = watch::channel(());
        let listener = self.tasks().spawn(listen(self.pool.clone(), tell));
        Announcements { heard, listener }
    }
}

impl Rows<'_> {
    /// Announces the transaction, should it be committed.
    pub(in crate::store) async fn announce(&mut self) -> Result<(), Error> {
        self.run("SELECT pg_notify(current_schema(), '')").await
    }
}

/// Listens, and again where the connection was lost: what came meanwhile is not known, and reported as news.
async fn listen(pool: PgPool, tell: watch::Sender<()>) {
    let mut backoff = Backoff::new();
    loop {
        let Err(error) = listen_once(&pool, &tell, &mut backoff).await;
        tracing::debug!(%error, "announcements are not heard: whoever follows looks now and then");
        tokio::time::sleep(backoff.next()).await;
    }
}

async fn listen_once(
    pool: &PgPool,
    tell: &watch::Sender<()>,
    backoff: &mut Backoff,
) -> Result<Infallible, sqlx::Error> {
    // Beside the pool, whose connections are for work.
    let options = pool.connect_options().as_ref().clone();
    let own = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&own).await?;
    let schema: String =
        sqlx::query_scalar("SELECT current_schema()::TEXT").fetch_one(&mut listener).await?;
    listener.listen(&schema).await?;
    backoff.reset();
    loop {
        tell.send_replace(());
        // Nothing, where the connection was lost: it is made anew by the next call.
        listener.try_recv().await?;
    }
}
