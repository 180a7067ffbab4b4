//! Sign-ins that other processes end, seen where they keep them: on the server that all have in common.

use chassis::clock;
use chassis::cores::Loop;
use chassis::http::Stop;
use chassis::identity::Ended;
use events::Database;
use events::store::Host;

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
        let database = Database::beside(host, schema, clock::component()).await;
        let database = database
            .map_err(|error| store::unopened("what has ended of sign-ins", Some(host), &error))?;
        run.push(followed(database, ended.clone(), stop.clone()));
    }
    Ok(run)
}

fn followed(database: Database, ended: Ended, stop: Stop) -> Loop {
    Box::pin(async move {
        tokio::select! {
            () = sessions::follow(&database, &ended, clock::component()) => {}
            () = stop.stopped() => database.close().await,
        }
    })
}
