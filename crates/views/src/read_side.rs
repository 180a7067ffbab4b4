//! What the handles of one read side share: the present generation of definitions, and what lives on
//! when that is followed by another.
//!
//! Who reads or folds gets both from here; who needs the definitions alone is given the generation,
//! so that it can be another one while this one still serves.

use std::sync::Arc;

use events::Database;

use crate::cache::Cache;
use crate::generation::Generation;
use crate::lease::Lease;
use crate::progress::Progress;
use crate::render::Look;
use crate::stamps::Stamps;

pub(crate) struct ReadSide {
    pub(crate) generation: Generation,
    pub(crate) database: Database,
    /// The same by connections of its own: a crowd that reads pages keeps nobody from seeing what was folded.
    pub(crate) apart: Database,
    /// Where other instances may fold into the same rows.
    pub(crate) lease: Option<Lease>,
    pub(crate) stamps: Arc<Stamps>,
    pub(crate) progress: Progress,
    pub(crate) cache: Cache,
    pub(crate) look: Look,
}
