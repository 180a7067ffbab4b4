//! `yeoul views`: the pages of a running process, and whether they follow the events.

use serde_json::Value;

use super::ask::Process;
use super::print;
use crate::cli::DataArgs;
use crate::exit::Failure;

pub(super) fn run(place: &DataArgs) -> Result<(), Failure> {
    print(lines(&Process::holding(&place.data)?.get("/admin/views")?))
}

fn lines(views: &Value) -> Vec<String> {
    let pages = views["pages"].as_array().map_or(&[][..], Vec::as_slice);
    let names = pages.iter().filter_map(Value::as_str).map(|name| format!("page {name}"));
    let how = match views["staleSince"].as_str() {
        Some(since) => format!("not every page has followed the events since {since}"),
        None if pages.is_empty() => "there are no pages".to_owned(),
        None => "every page follows the events".to_owned(),
    };
    names.chain([how]).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_says_which_pages_there_are_and_whether_they_follow() {
        let cases = [
            (
                json!({"pages": ["a", "b"], "staleSince": null}),
                "page a,page b,every page follows the events",
            ),
            (
                json!({"pages": ["a"], "staleSince": "2026-11-23T00:00:00Z"}),
                "page a,not every page has followed the events since 2026-11-23T00:00:00Z",
            ),
            (json!({"pages": [], "staleSince": null}), "there are no pages"),
        ];
        for (views, expected) in cases {
            assert_eq!(lines(&views).join(","), expected);
        }
    }
}
