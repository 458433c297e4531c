use super::*;
use RetrievalTier::Standard;

#[test]
fn a_fault_strikes_so_often_and_nothing_happens() {
    let mut sim = sim();
    sim.set_faults(vec![FaultRule::new("RestoreObject", "SlowDown").times(2)]);
    let mut restore = || outcome(sim.restore_object(&request("deep", Some(1), Standard), start()));
    assert_eq!(restore(), "503 SlowDown");
    assert_eq!(restore(), "503 SlowDown");
    assert_eq!(restore(), "202");
    assert_eq!(sim.restore_calls(&ObjectRef::new("b", "deep")).started, 1);
    assert_eq!(sim.calls("RestoreObject"), 3);
}

#[test]
fn a_fault_after_the_effect_loses_only_the_answer() {
    let mut sim = sim();
    sim.set_faults(vec![FaultRule::new("RestoreObject", "InternalError").times(1).after()]);
    let mut restore = || outcome(sim.restore_object(&request("deep", Some(1), Standard), start()));
    assert_eq!(restore(), "500 InternalError");
    assert_eq!(restore(), "409 RestoreAlreadyInProgress");
}

#[test]
fn a_fault_concerns_an_operation_and_keys() {
    let mut sim = sim();
    let code = "GlacierExpeditedRetrievalNotAvailable";
    sim.set_faults(vec![FaultRule::new("RestoreObject", code).on("it_*").skip(1)]);
    let mut restore = |key| outcome(sim.restore_object(&request(key, None, Standard), start()));
    assert_eq!(restore("it_archive"), "202", "the first one is let through");
    assert_eq!(restore("it_deep"), format!("503 {code}"));
    assert_eq!(restore("flexible"), "400 MalformedXML");
    assert!(sim.head_object(&ObjectRef::new("b", "it_deep"), start()).is_ok());
}

#[test]
fn a_fault_with_a_probability_strikes_about_so_often_and_the_same_calls_each_time() {
    let failed = || {
        let mut sim = sim();
        sim.set_faults(vec![FaultRule::new("*", "SlowDown").sometimes(0.25)]);
        let look = |_| sim.head_object(&ObjectRef::new("b", "deep"), start()).is_err();
        (0..1_000).map(look).collect::<Vec<_>>()
    };
    let first = failed();
    let count = first.iter().filter(|failed| **failed).count();
    assert!((200..300).contains(&count), "{count} of 1,000");
    assert_eq!(first, failed());
}

#[test]
fn rules_are_read_from_json_and_typos_are_not() {
    let rule: FaultRule =
        serde_json::from_str(r#"{"operation":"HeadObject","code":"AccessDenied","times":1,"when":"after"}"#)
            .expect("it is a rule");
    assert_eq!(rule, FaultRule::new("HeadObject", "AccessDenied").times(1).after());
    assert!(serde_json::from_str::<FaultRule>(r#"{"code":"SlowDown","time":1}"#).is_err());
}

#[test]
fn a_pattern_with_a_star_means_the_whole_text() {
    assert!(matches("a/*.jpg", "a/b/c.jpg") && matches("a?c", "abc") && matches("*", ""));
    assert!(!matches("a/*.jpg", "a/b/c.jpg2") && !matches("a?c", "ac") && !matches("b*", "ab"));
    assert!(matches("b/c", "a/b/c.jpg"), "without one, a part of it");
}
