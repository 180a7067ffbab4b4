//! Every situation of a circuit against every input: what is decided, and what is next.

use std::fmt::Write as _;

use expect_test::expect;

use super::*;

/// A window of four, half of which opens; two probes.
const SMALL: Settings = Settings { window_calls: 4, probes: 2, ..MALL };

#[derive(Debug, Clone, Copy)]
enum Situation {
    ClosedFilling,
    ClosedSpotless,
    ClosedOneShort,
    Open,
    OpenDue,
    ProbesFree,
    ProbesTaken,
    OneSucceeded,
    ProbeOverdue,
}

#[derive(Debug, Clone, Copy)]
enum Input {
    Look,
    Admit,
    Success,
    Failure,
    Cancel,
    LateSuccess,
    LateFailure,
    LateCancel,
}

const SITUATIONS: [Situation; 9] = [
    Situation::ClosedFilling,
    Situation::ClosedSpotless,
    Situation::ClosedOneShort,
    Situation::Open,
    Situation::OpenDue,
    Situation::ProbesFree,
    Situation::ProbesTaken,
    Situation::OneSucceeded,
    Situation::ProbeOverdue,
];

const INPUTS: [Input; 8] = [
    Input::Look,
    Input::Admit,
    Input::Success,
    Input::Failure,
    Input::Cancel,
    Input::LateSuccess,
    Input::LateFailure,
    Input::LateCancel,
];

/// A breaker in a situation, with a permit of an earlier stay and one of the present, if such a
/// permit can be.
struct Scene {
    breaker: Arc<Breaker>,
    now: Instant,
    late: Permit,
    current: Option<Permit>,
    _others: Vec<Permit>,
}

/// A closed circuit that has been open once, so that a late permit can be.
fn reopened(start: Instant) -> (Arc<Breaker>, Instant, Permit) {
    let breaker = breaker(SMALL);
    let late = breaker.admit(start).expect("closed");
    let now = trip(&breaker, start);
    (0..2).for_each(|_| call(&breaker, Outcome::Success, now));
    (breaker, now, late)
}

fn scene(situation: Situation) -> Scene {
    let (breaker, mut now, late) = reopened(origin());
    let mut others = Vec::new();
    let mut current = None;
    let outcomes: &[Outcome] = match situation {
        Situation::ClosedFilling => &[Outcome::Failure],
        Situation::ClosedSpotless => &[Outcome::Success; 4],
        Situation::ClosedOneShort => &[Outcome::Success, Outcome::Failure, Outcome::Success],
        _ => &[Outcome::Failure; 4],
    };
    outcomes.iter().for_each(|&outcome| call(&breaker, outcome, now));
    match situation {
        Situation::ClosedFilling | Situation::ClosedSpotless | Situation::ClosedOneShort => {
            current = Some(breaker.admit(now).expect("closed"));
        }
        Situation::Open => now += SMALL.open_for - NANO,
        Situation::OpenDue => now += SMALL.open_for,
        Situation::ProbesFree => {
            now += SMALL.open_for;
            current = Some(breaker.admit(now).expect("the first probe"));
        }
        Situation::ProbesTaken | Situation::ProbeOverdue => {
            now += SMALL.open_for;
            others.push(breaker.admit(now).expect("the first probe"));
            current = Some(breaker.admit(now).expect("the second probe"));
        }
        Situation::OneSucceeded => {
            now += SMALL.open_for;
            call(&breaker, Outcome::Success, now);
            current = Some(breaker.admit(now).expect("the second probe"));
        }
    }
    if let Situation::ProbeOverdue = situation {
        now += SMALL.probe_deadline + NANO;
    }
    Scene { breaker, now, late, current, _others: others }
}

/// What the input came to, or `None` where the situation knows no such permit.
fn decide(situation: Situation, input: Input) -> Option<String> {
    let Scene { breaker, now, late, current, _others } = scene(situation);
    let opened_before = breaker.snapshot(now - Duration::from_secs(60)).opened;
    let mut kept = None;
    let mut verdict = "";
    match input {
        Input::Look => {}
        Input::Admit => match breaker.admit(now) {
            Ok(permit) => {
                kept = Some(permit);
                verdict = "admitted, ";
            }
            Err(_) => verdict = "refused, ",
        },
        Input::Success => current?.record(Outcome::Success, now),
        Input::Failure => current?.record(Outcome::Failure, now),
        Input::Cancel => drop(current?),
        Input::LateSuccess => late.record(Outcome::Success, now),
        Input::LateFailure => late.record(Outcome::Failure, now),
        Input::LateCancel => drop(late),
    }
    let seen = breaker.snapshot(now);
    drop(kept);
    let window = format!("{}/{}", seen.failures, seen.calls);
    let opened = seen.opened - opened_before;
    let probes = seen.probes_in_flight;
    Some(format!("{verdict}{:?} window {window} probes {probes} opened {opened}", seen.state))
}

#[test]
fn every_situation_decides_every_input() {
    let mut table = String::new();
    for situation in SITUATIONS {
        writeln!(table, "{situation:?}").expect("a string takes all");
        for input in INPUTS {
            let input_name = format!("{input:?}");
            let decided = decide(situation, input).unwrap_or_else(|| "no such permit".to_owned());
            writeln!(table, "  {input_name:<12} {decided}").expect("a string takes all");
        }
    }
    expect![[r#"
        ClosedFilling
          Look         Closed window 1/1 probes 0 opened 0
          Admit        admitted, Closed window 1/1 probes 0 opened 0
          Success      Closed window 1/2 probes 0 opened 0
          Failure      Closed window 2/2 probes 0 opened 0
          Cancel       Closed window 1/1 probes 0 opened 0
          LateSuccess  Closed window 1/1 probes 0 opened 0
          LateFailure  Closed window 1/1 probes 0 opened 0
          LateCancel   Closed window 1/1 probes 0 opened 0
        ClosedSpotless
          Look         Closed window 0/4 probes 0 opened 0
          Admit        admitted, Closed window 0/4 probes 0 opened 0
          Success      Closed window 0/4 probes 0 opened 0
          Failure      Closed window 1/4 probes 0 opened 0
          Cancel       Closed window 0/4 probes 0 opened 0
          LateSuccess  Closed window 0/4 probes 0 opened 0
          LateFailure  Closed window 0/4 probes 0 opened 0
          LateCancel   Closed window 0/4 probes 0 opened 0
        ClosedOneShort
          Look         Closed window 1/3 probes 0 opened 0
          Admit        admitted, Closed window 1/3 probes 0 opened 0
          Success      Closed window 1/4 probes 0 opened 0
          Failure      Open window 2/4 probes 0 opened 1
          Cancel       Closed window 1/3 probes 0 opened 0
          LateSuccess  Closed window 1/3 probes 0 opened 0
          LateFailure  Closed window 1/3 probes 0 opened 0
          LateCancel   Closed window 1/3 probes 0 opened 0
        Open
          Look         Open window 4/4 probes 0 opened 0
          Admit        refused, Open window 4/4 probes 0 opened 0
          Success      no such permit
          Failure      no such permit
          Cancel       no such permit
          LateSuccess  Open window 4/4 probes 0 opened 0
          LateFailure  Open window 4/4 probes 0 opened 0
          LateCancel   Open window 4/4 probes 0 opened 0
        OpenDue
          Look         HalfOpen window 4/4 probes 0 opened 0
          Admit        admitted, HalfOpen window 4/4 probes 1 opened 0
          Success      no such permit
          Failure      no such permit
          Cancel       no such permit
          LateSuccess  HalfOpen window 4/4 probes 0 opened 0
          LateFailure  HalfOpen window 4/4 probes 0 opened 0
          LateCancel   HalfOpen window 4/4 probes 0 opened 0
        ProbesFree
          Look         HalfOpen window 4/4 probes 1 opened 0
          Admit        admitted, HalfOpen window 4/4 probes 2 opened 0
          Success      HalfOpen window 4/4 probes 0 opened 0
          Failure      Open window 4/4 probes 0 opened 1
          Cancel       HalfOpen window 4/4 probes 0 opened 0
          LateSuccess  HalfOpen window 4/4 probes 1 opened 0
          LateFailure  HalfOpen window 4/4 probes 1 opened 0
          LateCancel   HalfOpen window 4/4 probes 1 opened 0
        ProbesTaken
          Look         HalfOpen window 4/4 probes 2 opened 0
          Admit        refused, HalfOpen window 4/4 probes 2 opened 0
          Success      HalfOpen window 4/4 probes 1 opened 0
          Failure      Open window 4/4 probes 0 opened 1
          Cancel       HalfOpen window 4/4 probes 1 opened 0
          LateSuccess  HalfOpen window 4/4 probes 2 opened 0
          LateFailure  HalfOpen window 4/4 probes 2 opened 0
          LateCancel   HalfOpen window 4/4 probes 2 opened 0
        OneSucceeded
          Look         HalfOpen window 4/4 probes 1 opened 0
          Admit        refused, HalfOpen window 4/4 probes 1 opened 0
          Success      Closed window 0/0 probes 0 opened 0
          Failure      Open window 4/4 probes 0 opened 1
          Cancel       HalfOpen window 4/4 probes 0 opened 0
          LateSuccess  HalfOpen window 4/4 probes 1 opened 0
          LateFailure  HalfOpen window 4/4 probes 1 opened 0
          LateCancel   HalfOpen window 4/4 probes 1 opened 0
        ProbeOverdue
          Look         Open window 4/4 probes 0 opened 1
          Admit        refused, Open window 4/4 probes 0 opened 1
          Success      Open window 4/4 probes 0 opened 1
          Failure      Open window 4/4 probes 0 opened 1
          Cancel       Open window 4/4 probes 0 opened 1
          LateSuccess  Open window 4/4 probes 0 opened 1
          LateFailure  Open window 4/4 probes 0 opened 1
          LateCancel   Open window 4/4 probes 0 opened 1
    "#]]
    .assert_eq(&table);
}
