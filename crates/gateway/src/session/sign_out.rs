//! Signing out: ended here at once and for good, and the token endpoint notified, now or later.
//!
//! 1. What the request names is ended in the gateway's memory, and what is owed for it noted, in one
//!    transaction: the sign-in of the access token, expired or not, and the one that our seal names
//!    beside the refresh token. A refresh token without a seal alone is owed: its giver knows what it
//!    belongs to.
//! 2. The token endpoint is notified (RFC 7009), within [`NOTIFIED_WITHIN`].
//! 3. Where it did not hear, [`settle`] notifies it until it does: after its return, after our restart;
//!    one that it never takes holds up no other.
//!    Until then what it gives for a sign-in that is owed opens nothing here; and where it takes no
//!    token back at all, for as long as a browser keeps one.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use chassis::chance;
use chassis::clock;
use chassis::http::{Problem, Response, Stop, empty};
use chassis::identity::bearer;
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::Timestamp;
use sessions::{DebtOutcome, Ending, Memory, Owed};
use tracing::{info, warn};

use super::token_endpoint::{AskedBy, TokenEndpoint};
use super::{Ask, CLEAR_SITE_DATA, cleared};
use crate::access::{self, Access};
use crate::plan::SignIn;
use crate::proxy::Core;
use crate::seal::{Family, Refresh};
use crate::shared::Shared;

/// How long a sign-out waits for the token endpoint to hear of it.
pub(crate) const NOTIFIED_WITHIN: Duration = Duration::from_secs(1);
/// How often it is notified again.
const NOTIFIED_EVERY: Duration = Duration::from_millis(250);
/// How often what other gateways owe is looked for: one of them may have noted it and be gone.
const OTHERS_EVERY: Duration = Duration::from_secs(5);
/// Debts read at once.
const DEBTS_AT_ONCE: usize = 100;
/// Sign-ins that one sign-out ends by their access tokens.
const ACCESSES_MAX: usize = 8;
/// When a sign-out that there was no room to note is worth repeating.
const RETRY_SECONDS: u64 = 5;

/// What a sign-out names.
#[derive(Default)]
struct Named {
    endings: Vec<Ending>,
    owed: Vec<Owed>,
    /// Refresh tokens whose sign-in nobody here knows.
    unknown: Vec<String>,
}

/// A notice; where it is not finished, also because its client left, the debts are looked for.
struct Notice<'m> {
    memory: &'m Memory,
    finished: bool,
}

impl Drop for Notice<'_> {
    fn drop(&mut self) {
        if !self.finished {
            self.memory.wake();
        }
    }
}

impl Ask<'_> {
    pub(super) async fn sign_out(&self) -> Result<Response, Problem> {
        // Ended here before anybody else is asked: whatever the giver does, nothing opens any more.
        let owed = self.end().await?;
        // From here on a client that leaves drops the notice, and `settle` looks for what it left undone.
        let mut notice = Notice { memory: self.shared.sessions(), finished: false };
        notice.finished = self.notify(&owed).await;
        let mut response = cleared(self.cookies, empty(StatusCode::NO_CONTENT));
        let cache = HeaderValue::from_static("\"cache\"");
        response.headers_mut().insert(CLEAR_SITE_DATA, cache);
        Ok(response)
    }

    /// Ends what the request names, here; which tokens the token endpoint has to hear of.
    async fn end(&self) -> Result<Vec<String>, Problem> {
        let memory = self.shared.sessions();
        let Named { endings, owed, unknown } = self.named();
        let stored = |error: events::Error| {
            warn!(%error, "a sign-out could not be stored");
            Problem::storage_unavailable()
        };
        let mut tokens: Vec<String> = owed.iter().map(|owed| owed.token.clone()).collect();
        // One transaction for all that is known of them: after it the sign-ins are over for good.
        if !owed.is_empty() {
            memory.end(endings, owed).await.map_err(stored)?;
        }
        for token in unknown {
            tokens.push(token.clone());
            // Each by itself: of these nobody here knows the sign-in, and their number alone is bounded.
            if let DebtOutcome::TooMany = memory.owe(token).await.map_err(stored)? {
                warn!(limit = sessions::OWED_MAX, "too many sign-outs wait: one was refused");
                let seconds = chance::seconds(RETRY_SECONDS);
                return Err(Problem::unavailable("connection_limit_reached", seconds));
            }
        }
        Ok(tokens)
    }

    /// Which sign-ins the request names, by all of its tokens: one that was planted before the right one
    /// keeps no sign-in alive.
    fn named(&self) -> Named {
        let now = clock::wall();
        let ended = self.shared.verifier.ended();
        // What has ended already owes nothing more: a second sign-out changes nothing.
        let is_live = |it: &Access<'_>| !ended.contains(&it.principal.session);
        let accesses: Vec<_> = self.accesses().filter(is_live).take(ACCESSES_MAX).collect();
        let mut named = Named::default();
        for Refresh { token, family } in self.refreshes() {
            // Without a seal it is taken for the sign-in that the access token beside it names.
            let by_access = accesses.first().map(|it| it.principal.session.clone());
            let token = token.into_owned();
            match family.as_ref().map(|family| family.id.clone()).or(by_access) {
                None => named.unknown.push(token),
                session => named.owed.push(Owed { token, session, renews: true }),
            }
            // Owed also where its family has ended here: its giver need not have heard.
            let live = family.filter(|family| !ended.contains(&family.id));
            named.endings.extend(live.map(|family| family.ending(now)));
        }
        for Access { token, principal } in accesses {
            let (session, until) = (principal.session.clone(), principal.family_ends(now));
            named.endings.push(Ending { session: session.clone(), until });
            let (token, session) = (token.to_owned(), Some(session));
            named.owed.push(Owed { token, session, renews: false });
        }
        named
    }

    /// The access tokens that the request brings, whatever they are good for by now.
    fn accesses(&self) -> impl Iterator<Item = Access<'_>> {
        let headers = &self.parts.headers;
        let tokens = bearer(headers).into_iter().chain(self.cookies.sessions(headers));
        access::ours(tokens, &self.shared.verifier)
    }

    /// Notifies the token endpoint of all of these, in time; whether it heard.
    async fn notify(&self, tokens: &[String]) -> bool {
        let notified = async {
            for token in tokens {
                let endpoint = self.endpoint(self.session.sign_out);
                let path = &self.session.revoke;
                // The first that fails leaves the others to `settle`: the giver is away, and the client waits.
                if !notify(&endpoint, path, self.shared.sessions(), token).await {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(NOTIFIED_WITHIN, notified).await.unwrap_or(false)
    }
}

impl Family {
    /// Its end at `now`: a token of it that was made at this moment lives so long.
    fn ending(self, now: Timestamp) -> Ending {
        let until = now.checked_add(self.life).unwrap_or(Timestamp::MAX);
        Ending { session: self.id, until }
    }
}

/// Notifies of one token, at this path; whether that is settled.
async fn notify(endpoint: &TokenEndpoint<'_>, path: &str, memory: &Memory, token: &str) -> bool {
    let Ok(answer) = endpoint.ask(path, &[("token", token)]).await else {
        return false;
    };
    let status = answer.status();
    let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT];
    if status.is_server_error() || later.contains(&status) {
        return false;
    }
    if status.is_success() {
        return memory.pay(token).await.is_ok();
    }
    // It will not say anything else the next time.
    warn!(%status, "the token endpoint takes no revocation; a sign-out ended here alone");
    memory.give_up(token).await.is_ok()
}

/// Notifies the token endpoint of what is owed, until the stop; runs on one core.
///
/// Each look goes on behind the debt that the last one failed at, and round: one that the token endpoint
/// stumbles over each time holds up none of the others, and an endpoint that is away is asked once a look.
pub(crate) async fn settle(shared: &Shared, session: &SignIn, core: Core, stop: Stop) {
    let memory = shared.sessions();
    // At the start nothing is known: an earlier process may have left debts, so that it looks at once.
    let mut failed = None;
    loop {
        if let Some(number) = failed {
            failed = pay_after(shared, session, &core, number).await;
        }
        // Round once more from the front: what lies before the one that failed comes after it.
        if failed.is_none() {
            failed = pay_after(shared, session, &core, 0).await;
        }
        let pause = pause(failed.is_some(), memory.is_shared());
        tokio::select! {
            () = stop.stopped() => return,
            () = memory.grew() => {}
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
        }
    }
}

/// When debts are looked for though none has said so: soon where one has failed, now and then where others note theirs in
/// the same place. Of this process's own the new ones say so themselves.
fn pause(has_failed: bool, is_shared: bool) -> Option<Duration> {
    if has_failed { Some(NOTIFIED_EVERY) } else { is_shared.then_some(OTHERS_EVERY) }
}

/// Pays what is owed from behind this debt on; the one that could not be paid, if there was one.
async fn pay_after(shared: &Shared, session: &SignIn, core: &Core, mut number: i64) -> Option<i64> {
    let (memory, headers) = (shared.sessions(), HeaderMap::new());
    let route = &shared.routes[session.sign_out];
    let ourselves = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let endpoint =
        TokenEndpoint { core, route, asked_by: AskedBy { headers: &headers, peer: ourselves } };
    loop {
        let debts = match memory.debts(number, DEBTS_AT_ONCE).await {
            Ok(debts) => debts,
            // The disk's trouble ends no debt: the same place is read again after the pause.
            Err(error) => {
                warn!(%error, "what is owed to the token endpoint cannot be read");
                return Some(number);
            }
        };
        if debts.is_empty() {
            return None;
        }
        for debt in debts {
            number = debt.number;
            if !notify(&endpoint, &session.revoke, memory, &debt.token).await {
                return Some(number);
            }
            info!("the token endpoint has heard of a sign-out");
        }
    }
}
