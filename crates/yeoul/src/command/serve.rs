//! `yeoul serve`: routes, guards, views, pages and the app for one's own services.

use crate::cli::ServeArgs;
use crate::compose::layer::{Layer, Serving};
use crate::compose::sealing;
use crate::exit::Failure;
use crate::process::{self, Signals};
use crate::settings::{self, Base};

pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    chassis::telemetry::start();
    let mut plan = settings::checked(Base::Nothing, Some(&args.config), &args.process)?;
    if plan.gateway.has_session() || !plan.topics.pii.is_empty() {
        plan.sealing = sealing::key(plan.host.as_ref())?;
    }
    let folder = process::folder(&plan.data)?;
    process::runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let Serving { layer, admin } = signals.begin(Box::pin(Layer::serve(plan, folder))).await?;
        tokio::select! {
            () = process::until_ready(&admin) => {
                process::print_ready(args.process.json, "gateway", &layer.addresses_for_services());
                signals.next().await;
            }
            () = signals.next() => {}
        }
        signals.finish(layer.end()).await;
        Ok(())
    })
}
