//! `yeoul mall`: the whole of 12st Mall in this process.

use serde_json::json;

use crate::cli::MallArgs;
use crate::compose::mall::Mall;
use crate::exit::Failure;
use crate::process::{self, Signals};
use crate::settings::{self, Base};

pub(super) fn run(args: &MallArgs) -> Result<(), Failure> {
    chassis::telemetry::start();
    let plan = settings::checked(Base::Mall, args.config.as_deref(), &args.process)?;
    let folder = process::folder(&plan.data)?;
    process::runtime()?.block_on(async {
        let mut signals = Signals::listen()?;
        let mall = signals.begin(Box::pin(Mall::start(plan, folder, args.faults))).await?;
        tokio::select! {
            () = mall.caught_up() => {
                process::announce(args.process.json, &json!(mall.addresses()));
                signals.next().await;
            }
            () = signals.next() => {}
        }
        signals.finish(mall.end()).await;
        Ok(())
    })
}
