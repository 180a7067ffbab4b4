//! Signing out: ended here at once and for good, and told to the token endpoint, now or later.
//!
//! 1. The sign-in of the access token, expired or not, is ended in the gateway's memory, and what is
//!    owed for it noted, in one transaction. Without an access token that we know, the refresh token
//!    alone is owed: its giver knows what it belongs to.
//! 2. The token endpoint is told (RFC 7009), within [`TOLD_WITHIN`].
//! 3. Where it did not hear, [`settle`] tells it until it does: after its return, after our restart.
//!    Until then what it gives for a token that is owed opens nothing here.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use chassis::clock;
use chassis::http::{Problem, Response, Stop, empty};
use chassis::identity::bearer;
use http::{HeaderMap, HeaderValue, StatusCode};
use sessions::Memory;
use tracing::{info, warn};

use super::endpoint::Endpoint;
use super::{Ask, CLEAR_SITE_DATA, cleared};
use crate::plan::Session;
use crate::proxy::Core;
use crate::shared::Shared;

/// Where a token is taken back (RFC 7009).
const REVOKE_PATH: &str = "/oauth/revoke";
/// How long a sign-out waits for the token endpoint to hear of it.
pub(crate) const TOLD_WITHIN: Duration = Duration::from_secs(1);
/// How often it is tried to be told again.
const TOLD_EVERY: Duration = Duration::from_millis(250);
/// Debts read at once.
const DEBTS_AT_ONCE: usize = 100;
/// When a sign-out that there was no room to note is worth repeating.
const RETRY_SECONDS: u64 = 5;

/// A telling; where it is not finished, also because its client left, the debts are looked for.
struct Telling<'m> {
    memory: &'m Memory,
    finished: bool,
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.memory.poke();
        }
    }
}

impl Ask<'_> {
    pub(super) async fn sign_out(&self) -> Result<Response, Problem> {
        let owed = self.end().await?;
        let mut telling = Telling { memory: self.shared.sessions(), finished: false };
        telling.finished = self.tell(&owed).await;
        let mut response = cleared(self.cookies, empty(StatusCode::NO_CONTENT));
        let cache = HeaderValue::from_static("\"cache\"");
        response.headers_mut().insert(CLEAR_SITE_DATA, cache);
        Ok(response)
    }

    /// Ends what the request names, here; whom the token endpoint has to hear of.
    async fn end(&self) -> Result<Vec<String>, Problem> {
        let (headers, now) = (&self.parts.headers, clock::wall());
        let (verifier, memory) = (&self.shared.verifier, self.shared.sessions());
        let access = bearer(headers).or_else(|| self.cookies.session(headers));
        let refresh = self.cookies.refresh(headers).map(str::to_owned);
        let known = access.and_then(|token| Some((token, verifier.inspect(token).ok()?)));
        let stored = |error: events::Error| {
            warn!(%error, "a sign-out could not be stored");
            Problem::storage_unavailable()
        };
        if let Some((token, principal)) = known
            && !verifier.ended().contains(&principal.session)
        {
            let owed: Vec<String> = refresh.into_iter().chain([token.to_owned()]).collect();
            let (session, until) = (&principal.session, principal.family_ends(now));
            memory.end(session, until, owed.clone()).await.map_err(stored)?;
            return Ok(owed);
        }
        let Some(refresh) = refresh else { return Ok(Vec::new()) };
        memory.owe(refresh.clone()).await.map_err(stored)?.map_err(|too_many| {
            warn!(%too_many, "a sign-out was refused");
            Problem::unavailable("connection_limit_reached", RETRY_SECONDS)
        })?;
        Ok(vec![refresh])
    }

    /// Tells the token endpoint of all of `owed`, in time; whether it heard.
    async fn tell(&self, owed: &[String]) -> bool {
        let told = async {
            for token in owed {
                let endpoint = self.endpoint(self.session.sign_out);
                if !tell(&endpoint, self.shared.sessions(), token).await {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(TOLD_WITHIN, told).await.unwrap_or(false)
    }
}

/// Tells of one token; whether that is settled.
async fn tell(endpoint: &Endpoint<'_>, memory: &Memory, token: &str) -> bool {
    let Ok((status, ..)) = endpoint.ask(REVOKE_PATH, &[("token", token)]).await else {
        return false;
    };
    let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    if status.is_server_error() || later.contains(&status) {
        return false;
    }
    if !status.is_success() {
        // It will not say anything else the next time.
        warn!(%status, "the token endpoint takes no revocation; a sign-out ended here alone");
    }
    memory.pay(token).await.is_ok()
}

/// Tells the token endpoint of what is owed, until the stop; runs on one core.
pub(crate) async fn settle(shared: &Shared, session: &Session, core: Core, stop: Stop) {
    let memory = shared.sessions();
    loop {
        let all = pay_all(shared, session, &core).await;
        tokio::select! {
            () = stop.stopped() => return,
            () = memory.grew() => {}
            () = tokio::time::sleep(TOLD_EVERY), if !all => {}
        }
    }
}

/// Whether nothing is owed any more.
async fn pay_all(shared: &Shared, session: &Session, core: &Core) -> bool {
    let (memory, headers) = (shared.sessions(), HeaderMap::new());
    let route = &shared.routes[session.sign_out];
    let ourselves = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let endpoint = Endpoint { core, route, asked_by: (&headers, ourselves) };
    let mut after = 0;
    loop {
        let debts = match memory.debts(after, DEBTS_AT_ONCE) {
            Ok(debts) => debts,
            Err(error) => {
                warn!(%error, "what is owed to the token endpoint cannot be read");
                return false;
            }
        };
        let Some(last) = debts.last() else { return true };
        after = last.number;
        for debt in &debts {
            if !tell(&endpoint, memory, &debt.token).await {
                return false;
            }
            info!("the token endpoint has heard of a sign-out");
        }
    }
}
