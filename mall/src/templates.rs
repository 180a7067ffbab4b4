//! The page templates of the mall, embedded by file name.

/// Every template: its name (`mypage.html`), and its text.
pub static ALL: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/templates.rs"));
