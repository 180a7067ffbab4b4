//! `yeoul outbox`: the outbox as a table that a service in any language inserts into.

use events::Declared;
use events::store::outbox_schema;

use crate::cli::SchemaArgs;
use crate::exit::Failure;

/// Prints the statements, for whatever runs them.
pub(super) fn schema(args: &SchemaArgs) -> Result<(), Failure> {
    let declared = args.topic.clone().zip(args.partitions);
    let declared = declared.map(|(topic, partitions)| Declared { topic, partitions });
    super::print([outbox_schema(declared.as_slice()).trim_end().to_owned()])
}
