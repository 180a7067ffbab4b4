//! A customer's page from the cache, whole and not modified, beside servers of the same bytes.

use std::path::Path;

use super::{Bench, folder};
use crate::contest::{self, Subject};
use crate::error::{Error, environment};
use crate::http::{Answer, Request};
use crate::mall::{self, Mall};
use crate::peer::{self, Peer, Running};
use crate::program::{Cores, Program};
use crate::report::{Report, YEOUL};
use crate::{bars, process};

/// Bytes that the page has at least, before it is measured.
const PAGE_BYTES: usize = 4 * 1024;
/// Orders that one page shows at most.
const PAGE_ORDERS_MAX: u64 = 20;
/// Our own page, asked for with its ETag.
const NOT_MODIFIED: &str = "yeoul not modified";

pub(super) fn run(bench: &Bench, program: &Path, mut report: Report<'_>) -> Result<bool, Error> {
    let folder = folder()?;
    process::pin_self()?;
    let settings = Some(mall::LIMITS_ABOVE_THE_LOAD);
    let ours = Program::start(program, &["mall"], settings, Cores::One, folder.path())?;
    let Filled { page, request } = fill_page(&Mall::open(&ours.address("gateway")?)?)?;
    report.figure(YEOUL, "page_bytes", page.body.len() as f64, "B")?;

    let etag = page.header("etag").ok_or_else(|| environment("the page has no ETag"))?;
    let again = request.clone().header("If-None-Match", etag);
    // Seen once: if the tag had changed meanwhile, whole pages would be measured under the name of this one.
    mall::expect(&again, 304)?;
    let pid = ours.server.pid();
    let mut subjects = vec![
        Subject { name: YEOUL.to_owned(), pid, request },
        Subject { name: NOT_MODIFIED.to_owned(), pid, request: again },
    ];
    let peers = start_peers(bench, &page.body, folder.path(), &mut report)?;
    for one in peers.iter().filter(|one| bench.compares(one.peer.name())) {
        let request = Request::new("GET", &one.address, "/page.html");
        let answer = mall::expect(&request, 200)?;
        if answer.body != page.body {
            return Err(environment(format!("{} serves another page", one.peer.name())));
        }
        subjects.push(Subject { name: one.peer.name().to_owned(), pid: one.server.pid(), request });
    }
    let result = contest::run(&subjects, bench.seconds, folder.path())?;
    result.figures(&mut report)?;
    for name in ["nginx", "varnish"] {
        if let Some(ratio) = result.ratio(YEOUL, name, |sample| sample.cpu_us) {
            report.ratio(name, ratio);
        }
    }
    let not_modified = result.ratio(NOT_MODIFIED, YEOUL, |sample| sample.cpu_us);
    report.ratio("not_modified", not_modified.unwrap_or(f64::NAN));
    // A page compared with nobody's says nothing of the bar.
    Ok(report.end(bars::PAGE, subjects.len() > 2)?)
}

/// A page that came to rest, and how it is asked for.
struct Filled {
    page: Answer,
    request: Request,
}

/// Places orders until the page is as long as it should be and has come to rest.
fn fill_page(mall: &Mall) -> Result<Filled, Error> {
    let customer = mall.customer()?;
    let product = mall.register(PAGE_ORDERS_MAX)?;
    let request = mall.page(&customer);
    for _ in 0..PAGE_ORDERS_MAX {
        let order = mall::expect(&mall.order(&customer, product), 201)?;
        let position = order.header("yeoul-position").unwrap_or_default().to_owned();
        let with_it = request.clone().header("Yeoul-Position", position);
        if mall::expect(&with_it, 200)?.body.len() >= PAGE_BYTES {
            break;
        }
    }
    // The page has to stand still while it is measured, or rounds would include renders: first every order is
    // through, then the page stays what it is.
    let ordered = mall.orders()?;
    let settled = || {
        let page = mall::expect(&request, 200).ok()?;
        (mall.stock(product).ok()? + ordered == PAGE_ORDERS_MAX).then_some(page)
    };
    mall.wait_for(settled, "every order's stock is taken")?;
    let page = mall.wait_for(|| at_rest(&request), "the page comes to rest")?;
    Ok(Filled { page, request })
}

/// The page, if its version stays what it is for a while.
fn at_rest(request: &Request) -> Option<Answer> {
    let before = mall::expect(request, 200).ok()?;
    crate::clock::pause(std::time::Duration::from_millis(300));
    let after = mall::expect(request, 200).ok()?;
    (before.header("etag") == after.header("etag")).then_some(after)
}

/// The file server, and before it, from memory, Varnish; the file server runs for Varnish's sake
/// even where only that is compared.
fn start_peers(
    bench: &Bench,
    page: &[u8],
    folder: &Path,
    report: &mut Report<'_>,
) -> Result<Vec<Running>, Error> {
    let nginx = match Peer::Nginx.find() {
        Ok(file) => peer::page_file(&file, page, folder)?,
        Err(missing) => {
            report.missing(missing);
            return Ok(Vec::new());
        }
    };
    let mut running = Vec::new();
    if bench.compares(Peer::Varnish.name()) {
        match Peer::Varnish.find() {
            Ok(file) => running.push(peer::proxy(Peer::Varnish, &file, &nginx.address, folder)?),
            Err(missing) => report.missing(missing),
        }
    }
    running.insert(0, nginx);
    Ok(running)
}
