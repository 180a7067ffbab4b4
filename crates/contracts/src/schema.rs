//! One schema: taken from its text when all of it is understood and bounded, and asked about data from then on.
//!
//! What judges data is the `jsonschema` crate, which speaks the whole dialect; here is what it is not
//! asked for: how large a text may be, that its regular expressions run in linear time, and words that no answer should
//! repeat (the data itself).

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::fault::Fault;
use crate::{bounds, data, keywords, reading};

/// Bytes of a schema's text at most.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Levels of arrays and objects in a schema's text at most.
pub const SCHEMA_DEPTH_MAX: usize = 64;

/// Bytes that one regular expression may have, compiled.
const PATTERN_COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// What the data of a type has to be.
#[derive(Debug)]
pub struct Schema {
    pub(crate) document: Value,
    validator: Validator,
}

impl Schema {
    /// A schema of this text.
    ///
    /// ```
    /// use yeoul_contracts::Schema;
    ///
    /// let paid = Schema::parse(r#"{"type": "object", "required": ["won"], "properties": {"won": {"type": "integer"}}}"#);
    /// let paid = paid.expect("a schema");
    /// assert!(paid.faults("{\"won\": 12000}").is_empty());
    /// assert_eq!(paid.faults("{\"won\": \"much\"}")[0].pointer, "/won");
    ///
    /// let refused = Schema::parse(r#"{"requird": ["won"]}"#).unwrap_err();
    /// assert_eq!(refused[0].says, "unknown keyword. name=`requird`, nearest=`required`");
    /// ```
    ///
    /// # Errors
    /// Everything that is wrong with its words; else the first thing that is wrong with its references, or its size.
    pub fn parse(text: &str) -> Result<Schema, Vec<Fault>> {
        let whole = |says: String| vec![Fault::new("", says)];
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(whole(format!(
                "has at most {SCHEMA_BYTES_MAX} bytes. bytes=`{}`",
                text.len()
            )));
        }
        let document: Value = serde_json::from_str(text)
            .map_err(|error| whole(format!("must be a JSON Schema: {error}")))?;
        if depth(&document) > SCHEMA_DEPTH_MAX {
            return Err(whole(format!("has more than {SCHEMA_DEPTH_MAX} levels")));
        }
        let parts = bounds::parts(&document);
        let mut faults = Vec::new();
        parts.iter().for_each(|(pointer, schema)| keywords::check(pointer, schema, &mut faults));
        if faults.is_empty() {
            faults.extend(bounds::check(&document, &parts));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        let validator = compiled(&document).map_err(|fault| vec![fault])?;
        Ok(Schema { document, validator })
    }

    /// What is wrong with data that is this JSON text, at most [`DATA_FAULTS_MAX`](crate::DATA_FAULTS_MAX) things.
    pub fn faults(&self, text: &str) -> Vec<Fault> {
        data::faults(&self.document, &self.validator, text)
    }

    /// Whether data of this type may have this field, `["customer", "name"]`.
    ///
    /// # Errors
    /// It has none; in words, with the nearest that it has.
    pub fn has(&self, field: &[&str]) -> Result<(), String> {
        reading::has(&self.document, field)
    }

    /// As it was written.
    pub fn document(&self) -> &Value {
        &self.document
    }
}

fn compiled(document: &Value) -> Result<Validator, Fault> {
    let patterns = PatternOptions::regex()
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX);
    let options =
        jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
    options
        .with_pattern_options(patterns)
        .build(document)
        .map_err(|error| Fault::new(error.instance_path().as_str(), data::words(&error)))
}

/// Levels of arrays and objects.
fn depth(value: &Value) -> usize {
    let below = |all: &mut dyn Iterator<Item = &Value>| 1 + all.map(depth).max().unwrap_or(0);
    match value {
        Value::Array(all) => below(&mut all.iter()),
        Value::Object(all) => below(&mut all.values()),
        _ => 0,
    }
}
