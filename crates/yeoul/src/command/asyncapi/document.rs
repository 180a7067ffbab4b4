//! The document: topics are channels, and what a service of any language does with them are operations.
//!
//! It speaks from the side of those services, as a reader of it is one: they `send` where the settings let somebody publish, and
//! `receive` by each subscription. A channel is a topic, whichever way its events go; its address is the topic's name behind the
//! servers' path, which is where it is published to. Where a subscription's events come is said in its operation.
//!
//! What goes through another broker is not described as that broker has it: a reader of Kafka itself needs its own document.

use chassis::identity::Role;
use contracts::Contract;
use events::{Declared, Topic};
use gateway::settings::SUBSCRIPTIONS_PATH;
use serde_json::{Map, Value, json};

use super::message::{self, BATCH, Kind, Mode};
use crate::settings::Checked;
use crate::settings::subscriptions::{Elsewhere, Way};

/// Which AsyncAPI it is.
const ASYNCAPI: &str = "3.0.0";
/// Which version of the HTTP binding its operations name.
const BINDING: &str = "0.3.0";

const DESCRIPTION: &str = "Events are CloudEvents 1.0. The operations are those of a service around the layer: it sends \
                           what it publishes, and receives what it subscribes to.";

/// Describes these settings.
pub(super) fn of(checked: &Checked, title: &str, version: &str) -> Value {
    let mut document = json!({
        "asyncapi": ASYNCAPI,
        "info": {"title": title, "version": version, "description": DESCRIPTION},
        "channels": {},
        "operations": operations(checked),
        "components": {"schemas": message::shared()},
    });
    for declared in &checked.topics.all {
        let contract = checked.topics.contracts.get(&declared.topic).map(AsRef::as_ref);
        add_topic(&mut document, declared, contract);
    }
    add_servers(&mut document, checked);
    document
}

/// A topic's channel, with its schemas.
fn add_topic(
    document: &mut Value,
    Declared { topic, partitions }: &Declared,
    contract: Option<&Contract>,
) {
    let kinds = message::kinds(topic, contract);
    let schemas = document["components"]["schemas"].as_object_mut().expect("made above");
    schemas.extend(kinds.iter().flat_map(Kind::schemas));
    document["channels"][topic.as_str()] = json!({
        "address": topic.as_str(),
        "description": describe(partitions.count(), contract),
        "messages": message::messages(&kinds),
    });
}

fn describe(partitions: u16, contract: Option<&Contract>) -> String {
    let taken = match contract {
        Some(_) => "It has the types named here and no others.",
        None => "It says nothing of its types: an event may be anything.",
    };
    format!(
        "{taken} Events of a key (`partitionkey`, or else `subject`) are in order; partitions: {partitions}."
    )
}

fn operations(checked: &Checked) -> Value {
    let mut all = Map::new();
    for Declared { topic, .. } in &checked.topics.all {
        let contract = checked.topics.contracts.get(topic).map(AsRef::as_ref);
        let over_http = checked.topics.over_http.as_ref();
        if let Some(role) = over_http.and_then(|it| it.publish.get(topic.as_str())) {
            all.insert(format!("publish-{topic}"), send(topic, contract, role));
        }
        for to in checked.subscriptions.iter().filter(|it| it.topic == *topic) {
            let way = if matches!(to.way, Way::Push(_)) { "push" } else { "pull" };
            all.insert(format!("{way}-{}", to.name), receive(to, contract));
        }
    }
    Value::Object(all)
}

fn send(topic: &Topic, contract: Option<&Contract>, role: &Role) -> Value {
    let says = format!(
        "A POST, answered once the events are on disk, or refused with a problem document (RFC 9457). At the gateway it needs the \
         role {role}; the inner listener asks for no token."
    );
    let kinds = message::kinds(topic, contract);
    let single = kinds.iter().flat_map(|it| [it.key(Mode::Binary), it.key(Mode::Structured)]);
    let messages = single.chain([BATCH.to_owned()]).collect();
    operation("send", topic, &format!("Publish to {topic}"), &says, messages)
}

fn receive(to: &Elsewhere, contract: Option<&Contract>) -> Value {
    let (Elsewhere { name, topic, way, .. }, kinds) = (to, message::kinds(&to.topic, contract));
    let (says, messages) = match way {
        Way::Push(settings) => (
            format!(
                "A POST of each event to the receiver at {}, where any 2xx acknowledges it; at least once, in order by key.",
                settings.address.origin()
            ),
            kinds.iter().map(|it| it.key(Mode::Binary)).collect(),
        ),
        Way::Pull => (
            format!(
                "The answer to `POST {SUBSCRIPTIONS_PATH}/{name}/pull`, lent until `…/ack` or `…/nack`; at least once, in order by key."
            ),
            vec![BATCH.to_owned()],
        ),
    };
    operation("receive", topic, &format!("Receive by {name}"), &says, messages)
}

fn operation(action: &str, topic: &Topic, title: &str, says: &str, messages: Vec<String>) -> Value {
    let channel = format!("#/channels/{topic}");
    let of = |key: String| json!({"$ref": format!("{channel}/messages/{key}")});
    json!({
        "action": action,
        "title": title,
        "description": says,
        "channel": {"$ref": channel},
        "messages": messages.into_iter().map(of).collect::<Vec<_>>(),
        "bindings": {"http": {"method": "POST", "bindingVersion": BINDING}},
    })
}

/// Where topics are published to, as far as the settings say: a port that is drawn at the start they do not know.
fn add_servers(document: &mut Value, checked: &Checked) {
    let Some(over_http) = &checked.topics.over_http else { return };
    let path = match over_http.path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    let mut servers = Map::new();
    if checked.inner.port() != 0 {
        let says = "For services of its machine: it asks for no token.";
        let inner = json!({"host": checked.inner.to_string(), "pathname": path, "protocol": "http", "description": says});
        servers.insert("inner".to_owned(), inner);
    }
    // Without services of its own the process verifies no tokens, and lets nobody publish there.
    if checked.mall.is_some() && checked.listen.port() != 0 {
        let says = "For whoever has the role that an operation names.";
        let bearer = json!([{"$ref": "#/components/securitySchemes/bearer"}]);
        let gateway = json!({"host": checked.listen.to_string(), "pathname": path, "protocol": "http", "description": says, "security": bearer});
        servers.insert("gateway".to_owned(), gateway);
        document["components"]["securitySchemes"] =
            json!({"bearer": {"type": "http", "scheme": "bearer"}});
    }
    if !servers.is_empty() {
        document["servers"] = Value::Object(servers);
    }
}
