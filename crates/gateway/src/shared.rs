//! What all cores of a gateway share: plan, guards, sessions, views.
//!
//! It decides nothing; whoever answers requests looks into it.

use std::net::IpAddr;
use std::sync::Arc;

use chassis::http::{Inbound, Problem, Response, Stop};
use chassis::identity::Verifier;
use events::Broker;
use events::schedules::Schedules;
use http::HeaderMap;
use http::request::Parts;
use sessions::Memory;
use views::Views;

use crate::app::AppFiles;
use crate::cookies::Jar;
use crate::hygiene::Hygiene;
use crate::meters::Meters;
use crate::paths::Verb;
use crate::plan::Plan;
use crate::proxy::Route;
use crate::proxy::pool::AcrossCores;
use crate::publishing::{self, Publishing};
use crate::pulling::{self, Desks};
use crate::scheduling;
use crate::seal::Seal;
use crate::streams::Streams;
use crate::traces::Traces;

/// What browsers' sign-ins are ended with.
pub(crate) struct Sessions {
    pub(crate) memory: Memory,
    pub(crate) seal: Seal,
}

/// What all cores share.
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) hygiene: Arc<Hygiene>,
    pub(crate) routes: Vec<Route>,
    /// One for each page: requests that never leave the gateway.
    pub(crate) pages: Vec<Meters>,
    /// Where there are pages.
    pub(crate) views: Option<Views>,
    pub(crate) verifier: Verifier,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) publishing: Publishing,
    pub(crate) desks: Desks,
    /// What is published at a time to come, where that may be asked for.
    pub(crate) schedules: Option<Schedules>,
    pub(crate) traces: Traces,
    pub(crate) app: AppFiles,
    pub(crate) jar: Jar,
    pub(crate) sessions: Option<Sessions>,
    pub(crate) streams: Streams,
    pub(crate) stop: Stop,
    /// What is known together of each upstream.
    pub(crate) upstreams: Vec<AcrossCores>,
}

impl Shared {
    /// The read side, where there are pages.
    pub(crate) fn views(&self) -> &Views {
        self.views.as_ref().expect("checked when the gateway was made")
    }

    /// The memory of ended sign-ins, where browsers sign in.
    pub(crate) fn sessions(&self) -> &Memory {
        &self.known_sessions().memory
    }

    /// What refresh cookies are sealed with, where browsers sign in.
    pub(crate) fn seal(&self) -> &Seal {
        &self.known_sessions().seal
    }

    fn known_sessions(&self) -> &Sessions {
        self.sessions.as_ref().expect("checked when the gateway was made")
    }

    /// Stores events in a topic, and counts how that went.
    pub(crate) async fn publish(
        &self,
        topic: &str,
        headers: &HeaderMap,
        body: Inbound,
        client: IpAddr,
    ) -> Result<Response, Problem> {
        let ask = publishing::Ask {
            publishing: &self.publishing,
            broker: self.broker.as_ref(),
            may: self.plan.publishes.contains_key(topic),
            topic,
            headers,
            client,
        };
        let done = ask.answer(body).await;
        self.publishing.count(&done);
        done
    }

    /// What somebody asks who fetches.
    pub(crate) fn fetch<'a>(
        &'a self,
        verb: Verb,
        subscription: &'a str,
        headers: &'a HeaderMap,
    ) -> pulling::Ask<'a> {
        pulling::Ask { desks: &self.desks, stop: &self.stop, verb, subscription, headers }
    }

    /// What somebody asks about what is published at a time to come.
    pub(crate) fn schedule<'a>(&'a self, key: &'a str, parts: &'a Parts) -> scheduling::Ask<'a> {
        scheduling::Ask {
            schedules: self.schedules.as_ref(),
            broker: self.broker.as_ref(),
            takers: &self.plan.publishes,
            publishing: &self.publishing,
            key,
            parts,
        }
    }

    /// Whether the process stops.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }
}
