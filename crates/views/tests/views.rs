//! The read side from outside: definitions, folding, pages, the feed, and waiting.

#[path = "views/any_order.rs"]
mod any_order;
#[path = "views/behind.rs"]
mod behind;
#[path = "views/cuts.rs"]
mod cuts;
#[path = "views/definitions.rs"]
mod definitions;
#[path = "views/folding.rs"]
mod folding;
#[path = "views/live.rs"]
mod live;
#[path = "views/mall.rs"]
mod mall;
#[path = "views/owners.rs"]
mod owners;
#[path = "views/pages.rs"]
mod pages;
#[path = "place/embedded.rs"]
mod place;
#[path = "views/waiting.rs"]
mod waiting;
#[path = "views/woken.rs"]
mod woken;
