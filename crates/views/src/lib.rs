//! The read side: rules in settings fold events into rows, rows become pages, pages are cached.
//!
//! ```text
//!  events ─▶ fold ─▶ rows, sums, page versions, feed, one transaction ─▶ stamps, progress, watchers
//!                       │                                                  │
//!                       └─▶ page (JSON) ─▶ render (HTML) ─▶ cache ◀────────┘ valid while the stamp stands
//! ```
//!
//! Why this way: whoever owns the event that changes a page needs no time to live. The commit that
//! changes a row moves its owner's stamp, and a cached page is served only while the stamp it was
//! made under still stands; nothing has to be removed in time.
//!
//! Whatever arrives first, the rows come out the same: an update by key waits on a hidden row for
//! its create, and a joined value is remembered for rows that are created later.
//!
//! Floors, each knowing those below alone: value, expression, view and rule, row, page, render,
//! definition, store, one generation of definitions, fold, and the handle ([`Views`]).
//!
//! It does not know HTTP: who may see whose page, headers and cookies belong to the gateway.

pub mod settings;

mod behind;
mod cache;
mod definition;
mod encoding;
mod error;
mod expression;
mod feed;
mod fold;
mod follow;
mod generation;
mod lease;
mod owner;
mod page;
mod progress;
mod read_side;
mod render;
mod row;
mod rule;
mod stale;
mod stamps;
mod store;
mod value;
mod view;
mod views;

pub use behind::{BEHIND_MAX, DEAD_LOOKED_MAX, LATE_LOOKS, LOOK_EVERY};
pub use cache::CACHE_BYTES_MAX;
pub use definition::{COLUMNS_MAX, Columns, Definitions};
pub use encoding::Encoding;
pub use error::Error;
pub use feed::{
    CHANGES_MAX, Change, Changes, FEED_BYTES_MAX, OWNER_BYTES_KEPT, OWNER_CHANGES_KEPT,
};
pub use fold::{Batch, Fold};
pub use follow::{HANDED_OVER_WITHIN, LOOK_MAX, POLL_EVERY};
pub use lease::{ASKED_EVERY, BEAT_EVERY, SILENT_MAX};
pub use owner::Owners;
pub use page::{Listed, PAGE_SIZE_MAX, Page, PageJson, Slice, SortBy};
pub use progress::{WAITERS_MAX, Waited};
pub use render::{DECIMALS_MAX, Locale, Look, Money, Rendered, SIGN_LETTERS_MAX};
pub use settings::Settings;
pub use stale::Staleness;
pub use stamps::{STAMPS, Watch};
pub use store::instances::{TOUCHED_KEPT, TOUCHED_MAX};
pub use store::{STORE_FILE, Server};
pub use views::Views;
