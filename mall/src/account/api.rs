//! Account's port: sign-up, tokens and their end, keys, oneself.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use chassis::http::path::Table;
use chassis::http::{Networks, Problem, Request, Response, Serve, json};
use chassis::identity::{Role, Signer, Verifier};
use events::store::Write;
use events::{Cause, Clock, Database, Draft};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};

use super::attempts::SignUps;
use super::decide::SignUp;
use super::family::ChainKey;
use super::limits::{self, From};
use super::password::Passwords;
use super::revocation;
use super::store;
use super::token;
use super::user::User;
use super::wire::{Profile, UserEvent};
use crate::components::Components;
use crate::edge::{self, Call, Edge, Refusal};
use crate::settings::Name;

/// How long a verifier may keep the public keys.
const KEYS_FRESH: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// What answers account's port on one core.
pub struct Server {
    edge: Edge,
    table: Table<Action>,
    pub(super) database: Database,
    pub(super) passwords: Passwords,
    pub(super) signer: Arc<Signer>,
    pub(super) verifier: Verifier,
    /// What refresh tokens follow one another by.
    pub(super) chain: ChainKey,
    trusted: Networks,
    sign_ups: Arc<Mutex<SignUps>>,
    pub(super) clock: Clock,
    /// The client that may sign in as itself: name and secret.
    pub(super) client: Option<(&'static str, &'static str)>,
}

#[derive(Clone, Copy)]
enum Action {
    Token,
    Revoke,
    SignUp,
    Me,
    Keys,
}

impl Server {
    pub(super) fn new(
        components: &Components,
        database: Database,
        (passwords, sign_ups): (Passwords, Arc<Mutex<SignUps>>),
        (signer, chain): (Arc<Signer>, ChainKey),
        address: SocketAddr,
    ) -> Server {
        Server {
            edge: Edge::new(Name::Account, components, address),
            table: Table::new(vec![
                ("/oauth/token", Method::POST, Action::Token),
                ("/oauth/revoke", Method::POST, Action::Revoke),
                ("/oauth/users", Method::POST, Action::SignUp),
                ("/oauth/me", Method::GET, Action::Me),
                ("/.well-known/jwks.json", Method::GET, Action::Keys),
            ]),
            database,
            passwords,
            signer,
            verifier: components.verifier.clone(),
            chain,
            trusted: components.trusted.clone().and_loopback(),
            sign_ups,
            clock: components.clock.clone(),
            client: components.seed.then_some(super::seed::CLIENT),
        }
    }

    async fn act(&self, action: Action, call: Call, peer: IpAddr) -> Result<Response, Refusal> {
        let from = From::of(&call.headers, peer, &self.trusted, &self.chain);
        match action {
            Action::Token => Ok(token::answer(self, call, &from).await),
            Action::Revoke => Ok(revocation::answer(self, call, &from).await),
            Action::SignUp => self.sign_up(call, &from).await,
            Action::Me => self.me(&call),
            Action::Keys => Ok(self.keys()),
        }
    }

    fn keys(&self) -> Response {
        let mut response = json(StatusCode::OK, &self.signer.public_keys());
        response.headers_mut().insert(CACHE_CONTROL, KEYS_FRESH);
        response
    }

    fn me(&self, call: &Call) -> Result<Response, Refusal> {
        let principal = call.principal.as_ref().ok_or_else(Problem::unauthorized)?;
        let user: Result<_, Refusal> =
            self.database.read(|connection| Ok(store::find(connection, &principal.subject)?));
        let user = user?;
        let profile = match &user {
            Some(user) => Profile::of(user),
            None => Profile::of_client(&principal.subject, principal.role.as_str()),
        };
        Ok(edge::private(json(StatusCode::OK, &profile)))
    }

    async fn sign_up(&self, mut call: Call, from: &From) -> Result<Response, Refusal> {
        let (fields, _) = call.fields().await?;
        let wish = SignUp::read(fields)?;
        self.take_sign_up(from)?;
        let taken: Result<_, Refusal> =
            self.database.read(|connection| Ok(store::find(connection, &wish.username)?));
        if taken?.is_some() {
            return Err(name_taken().into());
        }
        let guess = self.passwords.guess(&wish.username, from.network, true);
        let phc = self.passwords.hash(guess, wish.password).await.map_err(limits::refusal)?;
        let user = User {
            username: wish.username,
            phc,
            nickname: wish.nickname,
            address: wish.address,
            role: Role::OrderCustomer,
            sequence: 1,
        };
        let cause = call.cause(None);
        let registered = self.database.write(move |write| {
            // Another sign-up may have been faster while this one was hashed.
            if !store::insert(write.sql(), &user)? {
                return Err(name_taken().into());
            }
            let sequence = publish(write, &user, &cause)?;
            let position = edge::position(Name::Account, &user.username, sequence);
            Ok::<_, Refusal>((user, position))
        });
        let (user, position) = registered.await?;
        let location = format!("/users/{}", user.username);
        Ok(edge::private(edge::created(&Profile::of(&user), &location, &position)))
    }
}

impl Server {
    /// Counts one sign-up of this address.
    fn take_sign_up(&self, from: &From) -> Result<(), Problem> {
        let mut sign_ups = self.sign_ups.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = sign_ups.take(from.network, chassis::clock::now());
        taken.map_err(|exceeded| limits::too_many(&exceeded))
    }
}

fn name_taken() -> Problem {
    Problem::conflict("this username is taken").field("username", "is taken", None)
}

/// Publishes that a user is there; the outbox sequence.
pub(super) fn publish(
    write: &mut Write<'_>,
    user: &User,
    cause: &Cause,
) -> Result<u64, events::Error> {
    let data = UserEvent::of(user);
    write.publish(Draft::new("UserRegistered", &user.username, user.sequence, &data, cause))
}

impl Serve for Server {
    async fn serve(self: Rc<Self>, request: Request, peer: SocketAddr) -> Response {
        let act = |action, call| self.act(action, call, peer.ip());
        self.edge.answer(&self.table, request, act).await
    }
}
