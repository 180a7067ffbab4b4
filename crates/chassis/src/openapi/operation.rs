//! One operation: what it takes and what it answers, in the reader's and the writer's own terms.

use serde_json::{Map, Value, json};

use crate::http::asked::{Asked, ValueKind};
use crate::http::hal;
use crate::schema::Schema;

/// What is done at a path.
#[derive(Clone, Debug)]
pub struct Operation {
    summary: String,
    query: Vec<Asked>,
    body: RequestBody,
    answers: Vec<Success>,
    /// How it refuses, beside problem documents.
    refusal: Option<Shape>,
}

/// The body that is taken.
#[derive(Clone, Debug)]
enum RequestBody {
    Nothing,
    Json(Vec<Asked>),
    Form(Vec<Asked>),
    /// What another specification lays down, in its media types.
    Foreign(Vec<Content>),
}

/// A body of one media type.
#[derive(Clone, Debug)]
struct Content {
    media_type: &'static str,
    schema: Value,
}

/// What is answered where the operation is carried out.
#[derive(Clone, Debug)]
struct Success {
    status: &'static str,
    media_type: String,
    /// What is said of an answer without a shape.
    says: &'static str,
    shape: Option<Shape>,
}

/// A shape with the name that it has in the document.
#[derive(Clone, Debug)]
pub struct Shape {
    name: String,
    schema: Value,
}

/// Shapes by name, collected while operations are described.
pub type Shapes = Map<String, Value>;

const JSON: &str = "application/json";
const PROBLEM_JSON: &str = "application/problem+json";
/// What refusals are called in the document.
pub(super) const PROBLEM: &str = "Problem";

impl Shape {
    /// The shape of `T`, which has no other of this name beside it.
    pub fn of<T: Schema>(name: &str) -> Shape {
        Shape { name: name.to_owned(), schema: T::schema() }
    }

    /// A HAL list of these under `name`.
    pub fn listed(self, name: &str) -> Shape {
        Shape { name: format!("{}List", self.name), schema: hal::shape(name, &self.schema) }
    }

    /// A shape that another specification lays down.
    pub fn foreign(name: &str, schema: Value) -> Shape {
        Shape { name: name.to_owned(), schema }
    }
}

impl Operation {
    /// An operation that takes nothing and answers nothing yet.
    pub fn new(summary: impl Into<String>) -> Operation {
        let summary = summary.into();
        let (query, answers) = (Vec::new(), Vec::new());
        Operation { summary, query, body: RequestBody::Nothing, answers, refusal: None }
    }

    /// It reads these parameters of the query.
    pub fn query(mut self, asked: Vec<Asked>) -> Operation {
        self.query = asked;
        self
    }

    /// It answers 200 with a list, a slice of which is asked for by the query.
    pub fn list(self, asked: Vec<Asked>, listed: Shape) -> Operation {
        self.query(asked).shows("200", listed)
    }

    /// It reads these members of a JSON object.
    pub fn json(mut self, asked: Vec<Asked>) -> Operation {
        self.body = RequestBody::Json(asked);
        self
    }

    /// It reads these fields of a form.
    pub fn form(mut self, asked: Vec<Asked>) -> Operation {
        self.body = RequestBody::Form(asked);
        self
    }

    /// It reads a body of this media type, too, as another specification lays it down.
    pub fn takes(mut self, media_type: &'static str, schema: Value) -> Operation {
        let content = Content { media_type, schema };
        match &mut self.body {
            RequestBody::Foreign(all) => all.push(content),
            other => *other = RequestBody::Foreign(vec![content]),
        }
        self
    }

    /// It refuses with `shape` where others have a problem document.
    pub fn refuses(mut self, shape: Shape) -> Operation {
        self.refusal = Some(shape);
        self
    }

    /// It answers `status` with `shape`.
    pub fn shows(self, status: &'static str, shape: Shape) -> Operation {
        self.shows_as(status, JSON, shape)
    }

    /// It answers `status` with `shape`, written as another kind of JSON.
    pub fn shows_as(
        mut self,
        status: &'static str,
        media_type: impl Into<String>,
        shape: Shape,
    ) -> Operation {
        self.answers.push(Success {
            status,
            media_type: media_type.into(),
            says: "",
            shape: Some(shape),
        });
        self
    }

    /// It answers a GET, or 304 to whoever has it already.
    pub fn read(self, shape: Shape) -> Operation {
        self.shows("200", shape).empty("304")
    }

    /// It answers `status` without a body.
    pub fn empty(mut self, status: &'static str) -> Operation {
        let says = "Done; there is nothing to show.";
        self.answers.push(Success { status, media_type: String::new(), says, shape: None });
        self
    }

    /// Nobody here knows what it answers.
    pub fn anything(mut self) -> Operation {
        let says = "Whatever the service answers.";
        self.answers.push(Success {
            status: "default",
            media_type: String::new(),
            says,
            shape: None,
        });
        self
    }

    /// It answers 200 with bytes of this media type.
    pub fn bytes(self, media_type: impl Into<String>) -> Operation {
        self.shows_as("200", media_type, Shape::foreign("Bytes", json!({})))
    }

    /// The operation as OpenAPI writes it; `path` names its parameters.
    pub fn describe(self, path: &str, shapes: &mut Shapes) -> Value {
        let mut responses = Map::new();
        for answer in self.answers {
            // One status may be answered in several media types; they are gathered under it.
            let status = responses.entry(answer.status).or_insert_with(|| json!({}));
            answer.describe(status, shapes);
        }
        let mut refused = json!({ PROBLEM_JSON: { "schema": reference(PROBLEM) } });
        if let Some(Shape { name, schema }) = self.refusal {
            refused[JSON] = json!({ "schema": reference(&name) });
            shapes.insert(name, schema);
        }
        // Every refusal is worded in one place, so that one shape is true of all: which there are is the route's order
        // of guards.
        for status in ["4XX", "5XX"] {
            responses.insert(
                status.to_owned(),
                json!({ "description": "It is refused, or could not be done.", "content": refused }),
            );
        }
        let mut parameters: Vec<Value> = in_path(path).collect();
        parameters.extend(self.query.iter().map(parameter));
        let mut operation = json!({ "summary": self.summary, "responses": responses });
        if !parameters.is_empty() {
            operation["parameters"] = Value::Array(parameters);
        }
        if let Some(body) = self.body.describe() {
            operation["requestBody"] = body;
        }
        operation
    }
}

impl Success {
    /// Adds what is answered to a status, which may be answered in several media types.
    fn describe(self, status: &mut Value, shapes: &mut Shapes) {
        let Some(Shape { name, schema }) = self.shape else {
            status["description"] = json!(self.says);
            return;
        };
        status["description"] = json!("Done.");
        // By index, so that a second media type of one status stands beside the first.
        status["content"][&self.media_type] = json!({ "schema": reference(&name) });
        shapes.insert(name, schema);
    }
}

impl RequestBody {
    fn describe(self) -> Option<Value> {
        let (media_type, schema) = match self {
            RequestBody::Nothing => return None,
            RequestBody::Form(asked) => ("application/x-www-form-urlencoded", members(&asked)),
            RequestBody::Json(asked) => (JSON, members(&asked)),
            RequestBody::Foreign(all) => {
                let types = all.into_iter();
                let types =
                    types.map(|it| (it.media_type.to_owned(), json!({ "schema": it.schema })));
                let content: Map<String, Value> = types.collect();
                // An event in binary mode may have no data, and then no body.
                return Some(json!({ "required": false, "content": content }));
            }
        };
        Some(json!({ "required": true, "content": { media_type: { "schema": schema } } }))
    }
}

/// An object with what is asked for; whatever else it has is passed over.
fn members(asked: &[Asked]) -> Value {
    let properties: Map<String, Value> =
        asked.iter().map(|it| (it.name.clone(), kind(&it.kind))).collect();
    let stand_ins = |name: &str| -> Vec<&str> {
        let of = asked.iter().filter(|it| it.stands_for.as_deref() == Some(name));
        of.map(|it| it.name.as_str()).collect()
    };
    let needed = asked.iter().filter(|it| it.required).map(|it| it.name.as_str());
    // What another member may stand in for is not required itself: one of them is.
    let (required, either): (Vec<&str>, Vec<&str>) =
        needed.partition(|name| stand_ins(name).is_empty());
    let mut object = json!({ "type": "object", "properties": properties, "required": required });
    if !either.is_empty() {
        let one_of = |name: &str| {
            let all = [vec![name], stand_ins(name)].concat();
            let alone = all.into_iter().map(|name| json!({ "required": [name] }));
            json!({ "anyOf": alone.collect::<Vec<_>>() })
        };
        object["allOf"] = either.into_iter().map(one_of).collect();
    }
    object
}

fn kind(kind: &ValueKind) -> Value {
    match kind {
        ValueKind::Whole(range) => {
            json!({ "type": "integer", "minimum": range.start(), "maximum": range.end() })
        }
        ValueKind::Text { chars_max: Some(max) } => json!({ "type": "string", "maxLength": max }),
        ValueKind::Text { chars_max: None } => json!({ "type": "string" }),
        ValueKind::Any => json!({}),
    }
}

fn parameter(asked: &Asked) -> Value {
    let schema = kind(&asked.kind);
    json!({ "name": asked.name, "in": "query", "required": asked.required, "schema": schema })
}

fn in_path(path: &str) -> impl Iterator<Item = Value> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}
