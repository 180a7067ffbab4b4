//! My page's own port, which has no edge of a service, under the fault switches all the same.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use chassis::http::{HeadLimits, Path, Problem, Request, Response, Serve, Trace};
use http::request::Parts;
use mall::{Faults, Name};

/// My page's own port with the fault switches that the services have in their edges.
pub(super) struct Faulty<S> {
    pages: Rc<S>,
    faults: Faults,
}

impl<S: Serve> Faulty<S> {
    pub(super) fn new(pages: S, faults: Faults) -> Faulty<S> {
        Faulty { pages: Rc::new(pages), faults }
    }
}

impl<S: Serve> Serve for Faulty<S> {
    async fn serve(self: Rc<Self>, request: Request, peer: SocketAddr) -> Response {
        let path = Path::parse(request.uri().path());
        // A path that cannot be read is the edge's to refuse, with or without a fault.
        let hit = path.ok().and_then(|path| self.faults.hit(Name::Mypage, &path));
        if let Some(hit) = hit {
            tokio::time::sleep(hit.delay).await;
            if hit.fails {
                return Problem::internal().into_response(&Trace::take(request.headers()));
            }
        }
        self.pages.clone().serve(request, peer).await
    }

    fn admits(&self, head: &Parts) -> Result<(), Problem> {
        self.pages.admits(head)
    }

    fn refuse(&self, problem: Problem, head: &Parts) -> Response {
        self.pages.refuse(problem, head)
    }

    fn head_limits(&self) -> HeadLimits {
        self.pages.head_limits()
    }

    fn write_idle(&self) -> Duration {
        self.pages.write_idle()
    }
}
