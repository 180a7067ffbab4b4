//! The switches of `--faults` on the mall: its services off and on, their delays and failures.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use chassis::http::Problem;
use mall::{Endpoint, Faults, Name};
use serde_json::Value;
use tracing::error;

use crate::admin::switches::Switches;

/// Where the mall's services are served, and their faults.
struct MallSwitches {
    endpoints: Arc<Vec<Endpoint>>,
    faults: Faults,
}

/// As the admin listener takes them.
pub(super) fn of(endpoints: Arc<Vec<Endpoint>>, faults: Faults) -> Box<dyn Switches> {
    Box::new(MallSwitches { endpoints, faults })
}

impl MallSwitches {
    fn endpoint(&self, name: &str) -> Result<&Endpoint, Problem> {
        let name = parse(name)?;
        self.endpoints.iter().find(|it| it.name() == name).ok_or_else(Problem::not_found)
    }
}

impl Switches for MallSwitches {
    fn stop<'s>(
        &'s self,
        service: &'s str,
    ) -> Pin<Box<dyn Future<Output = Result<(), Problem>> + 's>> {
        Box::pin(async move {
            self.endpoint(service)?.stop().await;
            Ok(())
        })
    }

    fn start(&self, service: &str) -> Result<(), Problem> {
        self.endpoint(service)?.start().map_err(|cause| {
            error!(%cause, service, "a service could not be started again");
            Problem::conflict("its address has been taken by another process")
        })
    }

    fn put_fault(&self, service: &str, fault: &Value) -> Result<(), Problem> {
        self.faults.put(parse(service)?, fault)
    }

    fn end_faults(&self, service: &str) -> Result<(), Problem> {
        self.faults.clear(parse(service)?);
        Ok(())
    }
}

fn parse(name: &str) -> Result<Name, Problem> {
    name.parse().map_err(|_| Problem::not_found())
}
