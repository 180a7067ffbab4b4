//! `yeoul events forget PERSON`: throws the key of a person away, beside the running process.

use std::path::Path;

use serde_json::Value;

use super::ask::{self, Process};
use super::{print, skip};
use crate::exit::Failure;

pub(super) fn run(person: &str, data: &Path) -> Result<(), Failure> {
    let person = ask::segment(person);
    let path = format!("/admin/people/forget?person={person}&by={}", skip::who());
    print(lines(&Process::holding(data)?.post(&path)?))
}

fn lines(done: &Value) -> Vec<String> {
    let person = done["person"].as_str().unwrap_or_default();
    let first = if done["known"] == true {
        format!("{person} is forgotten: nobody can tell any more what was sealed, wherever it is")
    } else {
        format!(
            "there is no key of {person}: nothing of it was ever sealed here, or it is forgotten"
        )
    };
    let remains = done["remains"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let remains = remains.map(|it| format!("not reached by this: {it}"));
    [first].into_iter().chain(remains).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_says_whether_there_was_a_key_and_what_is_left_to_do() {
        let done = json!({"person": "p1", "known": true, "remains": ["tables"]});
        assert_eq!(
            lines(&done),
            [
                "p1 is forgotten: nobody can tell any more what was sealed, wherever it is",
                "not reached by this: tables"
            ]
        );
        let done = json!({"person": "p1", "known": false, "remains": []});
        assert_eq!(
            lines(&done),
            ["there is no key of p1: nothing of it was ever sealed here, or it is forgotten"]
        );
    }
}
