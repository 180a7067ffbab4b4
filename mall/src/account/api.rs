//! Account's port: sign-up, tokens and their end, keys, oneself.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::http::router::{Route, Router};
use chassis::http::{Problem, Request, Response, Serve, json};
use events::store::Tx;
use events::{Cause, Error};
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderValue, StatusCode};

use super::attempts::SignUps;
use super::decide::SignUp;
use super::issuer::Issuer;
use super::limits::{self, ClientNetwork, Trust};
use super::publish;
use super::revocation;
use super::store;
use super::token;
use super::user::User;
use super::wire::{KeySet, Profile};
use crate::answers::{self, Written, Wrote};
use crate::components::Components;
use crate::edge::{Call, Edge, Refusal};
use crate::role::Role;
use crate::settings::Name;

/// How long a verifier may keep the public keys.
const KEYS_FRESH: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// What answers account's port on one core.
pub struct Server {
    edge: Edge,
    table: Router<Action>,
    issuer: Issuer,
    believed: Trust,
    sign_ups: Arc<Mutex<SignUps>>,
}

/// What a request for account's port asks for.
#[derive(Clone, Copy)]
pub(super) enum Action {
    Token,
    Revoke,
    SignUp,
    Me,
    Keys,
}

/// Every path, method and action of the port.
pub(super) fn routes() -> Vec<Route<Action>> {
    vec![
        Route::post("/oauth/token", Action::Token),
        Route::post("/oauth/revoke", Action::Revoke),
        Route::post("/oauth/users", Action::SignUp),
        Route::get("/oauth/me", Action::Me),
        Route::get("/.well-known/jwks.json", Action::Keys),
    ]
}

impl Server {
    pub(super) fn new(
        components: &Components,
        issuer: Issuer,
        sign_ups: Arc<Mutex<SignUps>>,
        address: SocketAddr,
    ) -> Server {
        Server {
            edge: Edge::new(Name::Account, components, address),
            table: Router::of(routes()),
            issuer,
            believed: Trust::new(&components.trusted, components.gateway.as_deref()),
            sign_ups,
        }
    }

    async fn act(&self, action: Action, call: Call, peer: IpAddr) -> Result<Response, Refusal> {
        let from = ClientNetwork::of(&call.headers, peer, &self.believed, &self.issuer.chain);
        match action {
            Action::Token => Ok(token::answer(&self.issuer, call, &from).await),
            Action::Revoke => Ok(revocation::answer(&self.issuer, call, &from).await),
            Action::SignUp => self.sign_up(call, &from).await,
            Action::Me => self.me(&call).await,
            Action::Keys => Ok(self.keys()),
        }
    }

    fn keys(&self) -> Response {
        let mut response =
            json(StatusCode::OK, &KeySet { keys: &self.issuer.signer.public_keys().keys });
        response.headers_mut().insert(CACHE_CONTROL, KEYS_FRESH);
        response
    }

    async fn me(&self, call: &Call) -> Result<Response, Refusal> {
        let principal = call.principal.as_ref().ok_or_else(Problem::unauthorized)?;
        let user = self.find(&principal.subject).await?;
        // A client that signed in as itself is no user: it has a name and a role and nothing else.
        let profile = match &user {
            Some(user) => Profile::of(user),
            None => Profile::of_client(&principal.subject, principal.role.as_str()),
        };
        Ok(answers::private(json(StatusCode::OK, &profile)))
    }

    async fn sign_up(&self, mut call: Call, from: &ClientNetwork) -> Result<Response, Refusal> {
        let fields = call.fields().await?;
        let asked = SignUp::read(fields)?;
        // Behind the body's mistakes, which cost nothing, and before the look-up, by which names could be tried.
        self.take_sign_up(from)?;
        if self.find(&asked.username).await?.is_some() {
            return Err(name_taken().into());
        }
        // Hashing is what costs, so it comes last of what can refuse, and waits its turn with those who sign in.
        let guess = self.issuer.passwords.guess(&asked.username, from.network, true);
        let phc =
            self.issuer.passwords.hash(guess, asked.password).await.map_err(limits::refusal)?;
        let user = User {
            username: asked.username,
            phc,
            nickname: asked.nickname,
            address: asked.address,
            role: Role::OrderCustomer,
            sequence: 1,
        };
        let given = (user, call.cause(None));
        let registered = self
            .issuer
            .database
            .write(given, |(user, cause), tx| Box::pin(register(tx, user, cause)));
        let Written { row, wrote } = registered.await?;
        let position = wrote.position(Name::Account, &self.issuer.database).await?;
        let location = format!("/users/{}", row.username);
        Ok(answers::private(answers::created(&Profile::of(&row), &location, &position)))
    }
}

async fn register(tx: &mut Tx<'_>, user: &User, cause: &Cause) -> Result<Written<User>, Refusal> {
    // A name that was taken before may be free again: its events are counted on.
    let user = User { sequence: tx.first_count(), ..user.clone() };
    // Another sign-up may have been faster while this one was hashed.
    if !store::insert(tx, &user).await? {
        return Err(name_taken().into());
    }
    let published = publish::registered(tx, &user, cause).await?;
    let wrote = Wrote::new(&user.username, Some(published));
    Ok(Written { row: user, wrote })
}

impl Server {
    async fn find(&self, username: &str) -> Result<Option<User>, Error> {
        let database = &self.issuer.database;
        database.read(username, |name, rows| Box::pin(store::find(rows, name))).await
    }

    /// Counts one sign-up of this address.
    fn take_sign_up(&self, from: &ClientNetwork) -> Result<(), Problem> {
        let mut sign_ups = self.sign_ups.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = sign_ups.take(from.network, chassis::clock::now());
        taken.map_err(|exceeded| limits::too_many(&exceeded))
    }
}

fn name_taken() -> Problem {
    Problem::conflict("this username is taken").field("username", "is taken", None)
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, peer: SocketAddr) -> Response {
        let act = |action, call| self.act(action, call, peer.ip());
        self.edge.answer(&self.table, request, act).await
    }

    fn admits(&self, head: &Parts) -> Result<(), Problem> {
        self.edge.admits(head)
    }
}
