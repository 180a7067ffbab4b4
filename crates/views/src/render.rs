//! Pages as HTML: templates with escaping on, and the page's data beside it as an island that the
//! app takes up without a second request.
//!
//! A template sees `page` (the page's JSON), `locale`, `app_head`, `island` and `stale_since`; the
//! filter `money` writes an amount as settings say ([`Money`]). What it makes depends on nothing else, so that a page's tag can be
//! told from its version.

mod island;
mod money;

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, context};

use crate::encoding::Encoding;
use crate::page::{Page, PageJson};
use crate::value;

pub use money::{DECIMALS_MAX, Money, SIGN_LETTERS_MAX};

/// What templates are given beside their page.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// HTML for the head element that loads the app; trusted.
    pub app_head: String,
    /// Languages pages are rendered in; the first is the usual one.
    pub locales: Vec<String>,
    /// How they write amounts of money.
    pub money: Money,
}

/// One of [`Look::locales`], by its place; from [`Views::locale`](crate::Views::locale).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Locale(pub(crate) u8);

/// A page as bytes, made once per version, locale and encoding.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// A strong entity tag in its quotes, of exactly these bytes.
    pub etag: String,
    /// The body, coded.
    pub body: Bytes,
    /// How it is coded.
    pub encoding: Encoding,
    /// The page version it shows.
    pub version: u64,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Rendered({}, {} bytes)", self.etag, self.body.len())
    }
}

/// The templates of all pages.
pub(crate) struct Templates {
    engine: Environment<'static>,
}

impl Templates {
    pub(crate) fn new() -> Templates {
        let mut engine = Environment::new();
        // Whatever a template is called: a page is HTML, and what customers wrote stays text in it.
        engine.set_auto_escape_callback(|_| AutoEscape::Html);
        let mut templates = Templates { engine };
        templates.write_money_as(Money::default());
        templates
    }

    /// Has the filter `money` write amounts so.
    pub(crate) fn write_money_as(&mut self, money: Money) {
        self.engine.add_filter("money", move |value: &Value| money.write(value));
    }

    /// Parses a page's template.
    pub(crate) fn add(&mut self, page: &Page, text: String) -> Result<(), String> {
        let added = self.engine.add_template_owned(page.template.clone(), text);
        added.map_err(|error| says(&error))
    }

    /// Tries a page's template on a page.
    pub(crate) fn attempt(&self, page: &Page, shown: &PageJson) -> Result<(), String> {
        self.render(page, shown, &Look::default(), "", None).map(drop)
    }

    pub(crate) fn render(
        &self,
        page: &Page,
        shown: &PageJson,
        look: &Look,
        locale: &str,
        stale_since: Option<Timestamp>,
    ) -> Result<String, String> {
        // Parsed when the settings were compiled; a page without one is a mistake that was refused there.
        let template = self.engine.get_template(&page.template).map_err(|error| says(&error))?;
        let context = context! {
            page => value::json_to_scope(&shown.json),
            locale,
            // Ours, from the files of the app: it is markup.
            app_head => Value::from_safe_string(look.app_head.clone()),
            // Escaped for a script element by `island`; escaped again for HTML, no script could read it.
            island => Value::from_safe_string(island::island(&shown.json)),
            stale_since => stale_since.map(|since| since.to_string()),
        };
        template.render(context).map_err(|error| says(&error))
    }

    /// A page's template as it was written.
    pub(crate) fn source(&self, page: &Page) -> String {
        let mut templates = self.engine.templates();
        let found = templates.find(|(name, _)| *name == page.template);
        found.map_or(String::new(), |(_, template)| template.source().to_owned())
    }
}

fn says(error: &minijinja::Error) -> String {
    error.to_string()
}
