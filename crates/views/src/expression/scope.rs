//! Named values as the template engine looks them up, without a map: a scope has a handful of names.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::Object;

/// Names and their values, in the same order.
#[derive(Debug)]
pub(super) struct Scope {
    names: Arc<[String]>,
    values: Vec<Value>,
}

/// `event` and `time`.
#[derive(Debug)]
struct EventScope {
    event: Value,
    time: Value,
}

impl Scope {
    #[expect(clippy::new_ret_no_self, reason = "the engine knows scopes as values only")]
    pub(super) fn new(names: Arc<[String]>, values: Vec<Value>) -> Value {
        Value::from_object(Scope { names, values })
    }

    pub(super) fn of_event(event: Value, time: Value) -> Value {
        Value::from_object(EventScope { event, time })
    }
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        let place = self.names.iter().position(|known| known == name)?;
        self.values.get(place).cloned()
    }
}

impl Object for EventScope {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "event" => Some(self.event.clone()),
            "time" => Some(self.time.clone()),
            _ => None,
        }
    }
}
