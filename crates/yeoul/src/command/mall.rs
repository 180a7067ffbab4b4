//! `yeoul mall`: the whole of 12st Mall in this process, or one part of it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chassis::folder::Folder;
use mall::Name;
use serde_json::Value;

use crate::cli::{MallArgs, ProcessArgs};
use crate::compose::mall::Mall;
use crate::compose::mall::alone::Alone;
use crate::compose::mall::front::{Front, Kind};
use crate::compose::mall::secret;
use crate::compose::sealing;
use crate::exit::Failure;
use crate::process::{self, Signals};
use crate::settings::{self, Base, Checked};

/// The part that is no service.
const GATEWAY: &str = "gateway";
/// How far a part's admin listener is above its port.
const ADMIN_ABOVE: u16 = 1000;

/// A part of the mall, in a process of its own.
#[derive(Clone, Copy)]
enum Part {
    Gateway,
    Service(Name),
}

/// What runs.
enum Running {
    Mall(Box<Mall>),
    Alone(Box<Alone>),
    Front(Box<Front>),
}

pub(super) fn run(args: &MallArgs) -> Result<(), Failure> {
    let part = args.service.as_deref().map(Part::parse).transpose()?;
    chassis::telemetry::start();
    let mut plan = match part {
        None => settings::checked(Base::Mall, args.config.as_deref(), &args.process)?,
        Some(part) => part.plan(args)?,
    };
    // Before the folder is taken, which would refuse as well, and say less of why.
    if let Some(part) = part.filter(|_| plan.host.is_none()) {
        part.must_be_the_first(&plan.data)?;
    }
    if part.is_none_or(Part::has_keys) {
        plan.sealing = sealing::key(plan.host.as_ref())?;
    }
    let folder = process::folder(&plan.data)?;
    process::runtime()?.block_on(async {
        // From here on a signal is a wish, also during a start that takes long.
        let mut signals = Signals::listen()?;
        let start = Box::pin(Running::start(part, plan, folder, args.faults));
        let running = signals.begin(start).await?;
        tokio::select! {
            // Catching up may take long, and may be ended; what runs is ended in order either way.
            () = running.caught_up() => {
                let open = part.map_or(GATEWAY, Part::name);
                process::print_ready(args.process.json, open, &running.addresses());
                signals.next().await;
            }
            () = signals.next() => {}
        }
        signals.finish(running.end()).await;
        Ok(())
    })
}

impl Part {
    fn parse(text: &str) -> Result<Part, Failure> {
        if text == GATEWAY {
            return Ok(Part::Gateway);
        }
        text.parse().map(Part::Service).map_err(|_| {
            let names = Name::ALL.map(Name::as_str).join(", ");
            let says = format!("no such part of the mall. part=`{text}`");
            Failure::input(says, format!("name one of {names}, {GATEWAY}, or none for all of it"))
        })
    }

    fn name(self) -> &'static str {
        match self {
            Part::Gateway => GATEWAY,
            Part::Service(name) => name.as_str(),
        }
    }

    /// Whether it makes tokens, or cookies.
    fn has_keys(self) -> bool {
        matches!(self, Part::Gateway | Part::Service(Name::Account))
    }

    /// Where state is in files there is one instance of a part: who means to start another one has the settings wrong.
    fn must_be_the_first(self, data: &Path) -> Result<(), Failure> {
        let Some(holder) = Folder::holder(data) else { return Ok(()) };
        let (name, pid) = (self.name(), holder.pid);
        let says =
            format!("a second `yeoul mall {name}` on files of one. pid=`{pid}`, store=`sqlite`");
        let todo = format!(
            "stop process {pid} first, or keep the state where several can write: `store: postgres://…`"
        );
        Err(Failure::input(says, todo))
    }

    /// The settings, with this part's own addresses and data folder in the places of the whole mall's.
    fn plan(self, args: &MallArgs) -> Result<Checked, Failure> {
        let given = &args.process;
        // Where the file's gateway would listen is nothing to a service's own address.
        let listen = given.listen.filter(|_| matches!(self, Part::Gateway));
        let process = ProcessArgs { listen, ..given.clone() };
        let mut plan = settings::checked(Base::Mall, args.config.as_deref(), &process)?;
        if plan.broker.is_none() {
            let says = format!(
                "`yeoul mall {}` is one process of several, and the log in a data folder is for one. \
                 events.broker=`local`",
                self.name()
            );
            return Err(Failure::input(says, "name a broker: `events.broker: kafka://HOST:PORT`"));
        }
        secret::shared()?;
        if given.data.is_none() {
            plan.data = beside(plan.data, self.name());
        }
        if let Part::Service(name) = self {
            let section = plan.mall.as_ref().expect("the mall's settings hold a mall");
            plan.listen = given.listen.unwrap_or(section.settings().services[&name].listen);
            plan.admin = given.admin.unwrap_or(admin_of(plan.admin, plan.listen));
            // Its guard is its own: the file's address is the gateway's, and several services have the same file.
            plan.inner.set_port(0);
        }
        Ok(plan)
    }
}

/// A part's own folder: the mall's, with the part's name behind it.
fn beside(data: PathBuf, name: &str) -> PathBuf {
    let mut text = data.into_os_string();
    text.push(format!("-{name}"));
    text.into()
}

/// A part's admin listener is on the mall's admin address, above the part's port.
fn admin_of(admin: SocketAddr, listen: SocketAddr) -> SocketAddr {
    let port = match listen.port() {
        0 => 0,
        port => port.checked_add(ADMIN_ABOVE).unwrap_or(0),
    };
    SocketAddr::new(admin.ip(), port)
}

impl Running {
    async fn start(
        part: Option<Part>,
        plan: Checked,
        folder: Folder,
        faults: bool,
    ) -> Result<Running, Failure> {
        Ok(match part {
            None => Running::Mall(Box::new(Mall::start(plan, folder, faults).await?)),
            Some(Part::Gateway) => {
                let front = Front::start(plan, folder, Kind::Gateway, faults);
                Running::Front(Box::new(front.await?))
            }
            Some(Part::Service(Name::Mypage)) => {
                let front = Front::start(plan, folder, Kind::Pages, faults);
                Running::Front(Box::new(front.await?))
            }
            Some(Part::Service(name)) => {
                Running::Alone(Box::new(Alone::start(plan, folder, name, faults).await?))
            }
        })
    }

    async fn caught_up(&self) {
        match self {
            Running::Mall(mall) => mall.caught_up().await,
            Running::Alone(alone) => alone.caught_up().await,
            Running::Front(front) => front.caught_up().await,
        }
    }

    /// The ready line.
    fn addresses(&self) -> Value {
        match self {
            Running::Mall(mall) => mall.addresses(),
            Running::Alone(alone) => alone.addresses(),
            Running::Front(front) => front.addresses(),
        }
    }

    async fn end(self) {
        match self {
            Running::Mall(mall) => mall.end().await,
            Running::Alone(alone) => alone.end().await,
            Running::Front(front) => front.end().await,
        }
    }
}
