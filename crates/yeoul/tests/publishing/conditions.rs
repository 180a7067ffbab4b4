//! Publishing only if something did not come.

use super::*;

fn claimed(id: &str, name: &str) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/accounts", "type": "Claimed", "subject": name})
}

fn claim(served: &Served, event: &Value, condition: &str) -> Answer {
    let call = served.call("many").header("yeoul-condition", condition);
    call.content(STRUCTURED, event.to_string()).send()
}

#[test]
fn of_many_who_claim_a_name_at_once_one_has_it_and_the_others_are_shown_his_event() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let condition = "none-of Claimed subject gil%20dong after beginning";
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let ask = |at: usize| claim(&served, &claimed(&format!("c{at}"), "gil dong"), condition);
        let asked: Vec<_> = (0..8).map(|at| scope.spawn(move || ask(at))).collect();
        asked.into_iter().map(|one| one.join().expect("an answer")).collect()
    });
    let taken: Vec<&Answer> = answers.iter().filter(|it| it.status == 200).collect();
    assert_eq!(taken.len(), 1);
    let place = position(taken[0]);
    let winner = served.ids("many");
    for refused in answers.iter().filter(|it| it.status != 200) {
        let refused = refused.problem(409);
        assert_eq!(refused["events"][0]["id"], json!(winner[0]), "{refused}");
        assert_eq!(refused["events"][0]["position"], json!(place), "{refused}");
    }
    // Who has it is told so again; behind its place it stands against nothing.
    assert_eq!(position(&claim(&served, &claimed(&winner[0], "gil dong"), condition)), place);
    let behind = format!("none-of Claimed,Other subject gil%20dong after {place}");
    position(&claim(&served, &claimed("later", "gil dong"), &behind));
    position(&claim(
        &served,
        &claimed("other", "chun hyang"),
        "none-of Claimed subject chun%20hyang after beginning",
    ));
    assert_eq!(served.ids("many").len(), 3);
}

#[test]
fn a_condition_that_is_none_is_refused_and_stores_nothing() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    for condition in [
        "",
        "none-of Claimed subject a",
        "any-of Claimed subject a after beginning",
        "none-of Claimed subject a after yesterday",
        "none-of Claimed subject a after w1.many",
        "none-of Claimed subject %ff after beginning",
    ] {
        claim(&served, &claimed("1", "a"), condition).refuses_field("Yeoul-Condition");
    }
    let types = vec!["T"; 17].join(",");
    let many = format!("none-of {types} subject a after beginning");
    claim(&served, &claimed("1", "a"), &many).refuses_field("Yeoul-Condition");
    assert_eq!(served.events("many"), [Value::Null; 0]);
}

/// Behind a place that nobody has stored yet nothing came, whatever is there: it would be true for ever.
#[test]
fn a_condition_behind_a_place_that_the_topic_does_not_have_is_refused_and_told_its_end() {
    let folder = Folder::new();
    let served = Served::on(&folder);
    let end =
        position(&claim(&served, &claimed("1", "a"), "none-of Claimed subject a after beginning"));
    let behind = end.replace("1.many", "2.many");
    for (after, reason) in [
        (behind.as_str(), format!("names a position past the topic's end, which is {end}")),
        ("t1.paid", "names a position of another topic".to_owned()),
        ("t9-1.many", "names a partition that the topic does not have".to_owned()),
    ] {
        let condition = format!("none-of Claimed subject a after {after}");
        let refused = claim(&served, &claimed("2", "a"), &condition).problem(422);
        let wrong = &refused["errors"][0];
        assert_eq!(
            (&wrong["field"], &wrong["reason"]),
            (&json!("Yeoul-Condition"), &json!(reason))
        );
    }
    let at_the_end = format!("none-of Claimed subject a after {end}");
    position(&claim(&served, &claimed("3", "a"), &at_the_end));
    assert_eq!(served.ids("many"), ["1", "3"]);
}
