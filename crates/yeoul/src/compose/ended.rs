//! Sign-ins that other processes end, seen where they keep them: on the server that all have in common.

use chassis::clock;
use chassis::cores::Loop;
use chassis::http::Stop;
use chassis::identity::Ended;
use events::Database;
use events::store::Host;
use sessions::Follower;

use super::store;
use crate::exit::Failure;

/// What follows the ends in these schemas, to be run; nothing, where state is in files.
pub(crate) async fn follow(
    host: Option<&Host>,
    schemas: &[&str],
    ended: &Ended,
    stop: &Stop,
) -> Result<Vec<Loop>, Failure> {
    let Some(host) = host else { return Ok(Vec::new()) };
    let mut run = Vec::with_capacity(schemas.len());
    for schema in schemas {
        let follower = begin(host, schema, ended).await;
        let follower = follower
            .map_err(|error| store::unopened("what has ended of sign-ins", Some(host), &error))?;
        run.push(until(stop.clone(), follower));
    }
    Ok(run)
}

async fn begin(host: &Host, schema: &str, ended: &Ended) -> Result<Follower, events::Error> {
    let database = Database::beside(host, schema, clock::component()).await?;
    Follower::begin(database, ended.clone(), clock::component()).await
}

fn until(stop: Stop, mut follower: Follower) -> Loop {
    Box::pin(async move {
        tokio::select! {
            () = follower.follow() => {}
            () = stop.stopped() => {}
        }
        follower.close().await;
    })
}
