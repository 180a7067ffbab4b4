//! From settings to definitions: every mistake is collected, each where it stands.
//!
//! In passes, because views name each other: names and columns first, then rules, then what reads
//! across views, then pages.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mistakes::{Mistake, Mistakes};
use serde_json::{Value, json};

use super::names::{check_name, find, find_view, names_apart, twins};
use super::{COLUMNS_MAX, Definitions, pages, rules};
use crate::expression::Computed;
use crate::render::Templates;
use crate::settings::{self, Settings};
use crate::view::{ColumnValue, Feeds, View};

pub(super) fn compile(
    settings: &Settings,
    texts: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Definitions, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    names_apart("views", settings.views.keys(), &mut mistakes);
    names_apart("pages", settings.pages.keys(), &mut mistakes);
    // First every view's columns: a sum names another view's, and a page any view's, wherever they stand.
    let mut views: Vec<View> = mistakes.under("views", |mistakes| {
        let outlines = settings.views.iter();
        outlines
            .map(|(name, view)| mistakes.under(name, |mistakes| outline(name, view, mistakes)))
            .collect()
    });
    // Filled by all views together: an event goes by its type to the rules of every view that has some for it.
    let mut rules = HashMap::new();
    mistakes.under("views", |mistakes| {
        for (index, (name, view)) in settings.views.iter().enumerate() {
            mistakes.under(name, |mistakes| {
                // Rules before joins and computed columns, which are checked against what the rules set.
                rules::compile(index, &mut views[index], view, &mut rules, mistakes);
                check_joins(&views[index], mistakes);
                compute(&mut views[index], view, mistakes);
            });
        }
        // Only now: what a join sets is known for every view, and a sum may be of none of that.
        for (index, (name, view)) in settings.views.iter().enumerate() {
            mistakes.under(name, |mistakes| sum(index, &mut views, view, mistakes));
        }
    });
    // Last, since a page notes in its views what of them it shows and by what it sorts.
    let mut templates = Templates::new();
    let pages = mistakes
        .under("pages", |it| pages::compile(settings, &mut views, &mut templates, texts, it));
    // All of them or none: what is half compiled is of no use to anybody.
    let found = mistakes.found();
    if !found.is_empty() {
        return Err(found);
    }
    Ok(Definitions { text: text(settings, &views), views, pages, rules, templates })
}

/// The view's columns and their places.
fn outline(name: &str, settings: &settings::View, mistakes: &mut Mistakes) -> View {
    check_name("view", name, mistakes);
    mistakes.under("topics", |it| check_topics(&settings.topics, it));
    // A column's place is its number everywhere from here on: those that rules set stand first, in the order of
    // their names, then what is computed, then the sums.
    let mut columns: Vec<String> = set_columns(settings).into_iter().map(str::to_owned).collect();
    let settable = columns.len();
    if settable > COLUMNS_MAX {
        mistakes.note(format!("too many columns. columns=`{settable}`, limit=`{COLUMNS_MAX}`"));
    }
    for (part, names) in [
        ("computed", settings.computed.keys().collect::<Vec<_>>()),
        ("sums", settings.sums.keys().collect()),
    ] {
        mistakes.under(part, |mistakes| add_columns(&mut columns, &names, mistakes));
    }
    for column in &columns {
        check_name("column", column, mistakes);
    }
    for twin in twins(columns.iter()) {
        mistakes.at(&place_of(settings, twin.other)).note(twin.to_string());
    }
    // A key or an owner that is computed or summed would change under its own row.
    let set = &columns[..settable];
    let key = mistakes.under("key", |it| find(&settings.key, set, it));
    let owner = mistakes.under("owner", |it| find(&settings.owner, set, it));
    let sums = (columns.len() - settings.sums.len()..columns.len()).collect();
    // What is hidden is a column like any other; it is only never shown.
    let hidden = mistakes.under("hidden", |it| hidden(&settings.hidden, &columns, it));
    let shown = (0..columns.len()).filter(|at| !hidden.contains(at)).collect();
    View {
        name: name.to_owned(),
        topics: settings.topics.clone(),
        settable,
        key,
        owner,
        computed: Vec::new(),
        sums,
        feeds: Vec::new(),
        joins: Vec::new(),
        shown,
        sorted: vec![key],
        shows: Vec::new(),
        columns,
    }
}

/// Where a column is set, below its view.
fn place_of<'s>(settings: &'s settings::View, column: &'s str) -> Vec<&'s str> {
    if settings.computed.contains_key(column) {
        return vec!["computed", column];
    }
    if settings.sums.contains_key(column) {
        return vec!["sums", column];
    }
    for (kind, rule) in &settings.on {
        for (part, sets) in [("create", &rule.create), ("update", &rule.update)] {
            if sets.as_ref().is_some_and(|it| it.contains_key(column)) {
                return vec!["on", kind.as_str(), part, column];
            }
        }
    }
    Vec::new()
}

fn set_columns(settings: &settings::View) -> BTreeSet<&str> {
    let rules = settings.on.values();
    rules
        .flat_map(|rule| [&rule.create, &rule.update])
        .flatten()
        .flat_map(|columns| columns.keys().map(String::as_str))
        .collect()
}

fn add_columns(columns: &mut Vec<String>, names: &[&String], mistakes: &mut Mistakes) {
    for name in names {
        // Noted and added all the same: places have to be those of the settings for what is checked after it.
        if columns.contains(name) {
            mistakes.under(name, |it| it.note("the column is set elsewhere too"));
        }
        columns.push((*name).clone());
    }
}

fn check_topics(topics: &[String], mistakes: &mut Mistakes) {
    if topics.is_empty() {
        mistakes.note("a view folds at least one topic");
    }
    for (index, topic) in topics.iter().enumerate() {
        if let Err(error) = events::Topic::parse(topic) {
            mistakes.under(&index.to_string(), |it| it.note(error.to_string()));
        }
    }
}

fn hidden(names: &[String], columns: &[String], mistakes: &mut Mistakes) -> Vec<usize> {
    let mut one = |index: usize, name: &String| {
        mistakes.under(&index.to_string(), |mistakes| find(name, columns, mistakes))
    };
    names.iter().enumerate().map(|(index, name)| one(index, name)).collect()
}

/// What a join sets may change for any number of rows at once, so nothing may hang on it.
fn check_joins(view: &View, mistakes: &mut Mistakes) {
    let refused = [(view.key, "key"), (view.owner, "owner")];
    for (column, what) in refused {
        if view.is_joined(column) {
            mistakes.note(format!("a join sets the {what}. column=`{}`", view.columns[column]));
        }
    }
    for (index, join) in view.joins.iter().enumerate() {
        for &column in &join.on {
            if view.is_joined(column) {
                let column = &view.columns[column];
                mistakes.note(format!("a join is on a column that a join sets. column=`{column}`"));
            }
        }
        for &column in &join.sets {
            if view.joins[..index].iter().any(|other| other.sets.contains(&column)) {
                let column = &view.columns[column];
                mistakes.note(format!("two joins set the same column. column=`{column}`"));
            }
        }
    }
}

fn compute(view: &mut View, settings: &settings::View, mistakes: &mut Mistakes) {
    for (name, formula) in &settings.computed {
        // Over what rules set alone, so that no computed column waits for another and their order says nothing.
        let computed = Computed::compile(&formula.0, &view.columns[..view.settable]);
        mistakes.under("computed", |mistakes| {
            mistakes.under(name, |mistakes| {
                let Some(computed) = mistakes.take(computed) else { return };
                if let Some(&at) = computed.columns.iter().find(|&&at| view.is_joined(at)) {
                    let column = &view.columns[at];
                    mistakes.note(format!(
                        "computed from a column that a join sets. column=`{column}`"
                    ));
                }
                let column = view.column(name).expect("the outline has every column");
                view.computed.push(ColumnValue { column, value: computed });
            });
        });
    }
}

fn sum(index: usize, views: &mut [View], settings: &settings::View, mistakes: &mut Mistakes) {
    for (name, sum) in &settings.sums {
        mistakes.under("sums", |mistakes| {
            mistakes.under(name, |mistakes| {
                let column = views[index].column(name).expect("the outline has every column");
                let Some(Summed { view: of, column: part }) = summed(&sum.of, views, mistakes)
                else {
                    return;
                };
                // Kept with the view that is summed: its rows are what changes the sum.
                let key = &views[index].columns[views[index].key];
                let via = mistakes.under("where", |it| via(&sum.r#where, key, &views[of], it));
                let Some(via) = via else { return };
                views[of].feeds.push(Feeds { view: index, column, part, via });
            });
        });
    }
}

/// What a sum adds: a column of a view.
struct Summed {
    view: usize,
    column: usize,
}

/// What `VIEW.COLUMN` names.
fn summed(of: &str, views: &[View], mistakes: &mut Mistakes) -> Option<Summed> {
    mistakes.under("of", |mistakes| {
        let Some((name, column)) = of.split_once('.') else {
            mistakes.note(format!("a sum is of `VIEW.COLUMN`. of=`{of}`"));
            return None;
        };
        let index = find_view(name, views, mistakes)?;
        let view = &views[index];
        let place = find(column, &view.columns, mistakes);
        if view.sums.contains(&place) || view.is_joined(place) {
            mistakes.note(format!("a sum is of a column that no sum and no join sets. of=`{of}`"));
        }
        Some(Summed { view: index, column: place })
    })
}

fn via(
    matches: &BTreeMap<String, String>,
    key: &str,
    of: &View,
    mistakes: &mut Mistakes,
) -> Option<usize> {
    let mut entries = matches.iter();
    let (Some((column, own)), None) = (entries.next(), entries.next()) else {
        mistakes.note("a sum has one condition: the other view's column and this view's key");
        return None;
    };
    mistakes.under(column, |mistakes| {
        if own != key {
            mistakes.unknown("key", own, [key]);
        }
        let place = find(column, &of.columns[..of.settable], mistakes);
        if of.is_joined(place) {
            mistakes.note("a sum is by a column that no join sets");
        }
        Some(place)
    })
}

/// All that rows, indexes, versions and feed depend on, and nothing that only changes how they are
/// shown. Pages go by their place, so which stands there is part of it.
fn text(settings: &Settings, views: &[View]) -> String {
    let sorted: Vec<&[usize]> = views.iter().map(|view| view.sorted.as_slice()).collect();
    let names: Vec<&String> = settings.pages.keys().collect();
    // A list each, as JSON knows them: another shape here would be another text of the same definitions.
    let places = |view: &View| -> Vec<Value> {
        view.shows.iter().map(|it| json!([it.page, it.head, it.live])).collect()
    };
    let shows: Vec<_> = views.iter().map(places).collect();
    serde_json::to_string(&(&settings.views, sorted, names, shows)).expect("settings are JSON")
}
