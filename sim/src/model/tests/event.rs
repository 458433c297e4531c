use super::*;
use RestoreEvent::{Completed, Expired, Initiated};
use RetrievalTier::{Bulk, Expedited, Standard};

fn kinds(events: &[Event]) -> Vec<RestoreEvent> {
    events.iter().map(|event| event.kind).collect()
}

#[test]
fn a_restore_announces_its_begin_its_end_and_the_end_of_its_copy() {
    let mut sim = sim();
    sim.restore_object(&request("flexible", Some(3), Standard), start()).expect("it is archived");
    assert_eq!(kinds(&sim.take_events(start())), [Initiated]);
    assert_eq!(kinds(&sim.take_events(start() + hours(2))), []);
    assert_eq!(kinds(&sim.take_events(start() + hours(5))), [Completed]);
    assert_eq!(sim.next_event_at(), Some(at("2026-03-06T00:00:00Z")));
    assert_eq!(kinds(&sim.take_events(at("2026-03-06T00:00:00Z"))), [Expired]);
    assert_eq!(sim.next_event_at(), None);
}

#[test]
fn intelligent_tiering_has_no_copy_to_end() {
    let mut sim = sim();
    sim.restore_object(&request("it_archive", None, Bulk), start()).expect("it is archived");
    let events = sim.take_events(start() + hours(10_000));
    assert_eq!(kinds(&events), [Initiated, Completed]);
    assert_eq!(events[1].to_json()["detail"].get("restore-expiry-time"), None);
}

#[test]
fn an_event_looks_as_eventbridge_delivers_it() {
    let mut sim = Sim::default();
    sim.create_bucket("b", true);
    let put = PutRequest::new("b", "a +%41/ü", StorageClass::Glacier, "content");
    let stored = sim.put_object(put, start()).expect("the bucket is there");
    sim.restore_object(&request("a +%41/ü", Some(3), Standard), start()).expect("it is archived");
    let events = sim.take_events(start() + hours(5));
    let (initiated, completed) = (events[0].to_json(), events[1].to_json());

    assert_eq!(completed["source"], "aws.s3");
    assert_eq!(completed["detail-type"], "Object Restore Completed");
    assert_eq!(completed["resources"][0], "arn:aws:s3:::b");
    assert_eq!(completed["time"].as_str().map(str::len), Some("2026-03-02T12:00:00Z".len()));
    let detail = &completed["detail"];
    assert_eq!(detail["bucket"]["name"], "b");
    assert_eq!(detail["object"]["key"], "a +%41/ü");
    assert_eq!(detail["object"]["size"], 7);
    assert_eq!(detail["object"]["etag"], stored.etag);
    assert_eq!(detail["object"]["version-id"].as_str(), stored.version.as_deref());
    assert_eq!(detail["object"].get("sequencer"), None);
    assert_eq!(detail["requester"], "s3.amazonaws.com");
    assert_eq!(detail["source-storage-class"], "GLACIER");
    assert_eq!(detail["restore-expiry-time"], "2026-03-06T00:00:00Z");

    assert_eq!(initiated["detail-type"], "Object Restore Initiated");
    assert_eq!(initiated["detail"]["requester"], "000000000000");
    assert_eq!(initiated["detail"].get("restore-expiry-time"), None);
    assert_ne!(initiated["id"], completed["id"]);
}

#[test]
fn an_upgrade_moves_the_completion_and_an_extension_the_expiry() {
    let mut sim = sim();
    sim.restore_object(&request("flexible", Some(1), Bulk), start()).expect("it is archived");
    sim.restore_object(&request("flexible", Some(1), Expedited), start()).expect("it is faster");
    let events = sim.take_events(start() + hours(12));
    assert_eq!(kinds(&events), [Initiated, Initiated, Completed]);

    sim.restore_object(&request("flexible", Some(2), Bulk), start() + hours(12)).expect("a copy is live");
    assert_eq!(kinds(&sim.take_events(at("2026-03-04T00:00:00Z"))), [], "the old end no longer holds");
    assert_eq!(kinds(&sim.take_events(at("2026-03-05T00:00:00Z"))), [Expired]);
}

#[test]
fn an_object_that_is_gone_announces_nothing() {
    let mut sim = sim();
    for key in ["flexible", "deep"] {
        sim.restore_object(&request(key, Some(1), Standard), start()).expect("it is archived");
    }
    sim.take_events(start());
    sim.delete_object(&ObjectRef::new("b", "flexible"), start()).expect("the bucket is there");
    sim.put_object(PutRequest::new("b", "deep", StorageClass::Standard, "new"), start()).expect("so it is");
    assert_eq!(kinds(&sim.take_events(start() + hours(100))), []);
}

#[test]
fn events_get_lost_come_twice_and_come_late() {
    let mut sim = sim();
    let drop = vec![DropRule { kind: Some(Completed), key: Some("flex*".to_owned()), times: Some(1) }];
    sim.set_event_faults(EventFaults { drop, duplicate: 1, delay_seconds: 3_600, jitter_seconds: 0 });
    sim.restore_object(&request("flexible", Some(1), Expedited), start()).expect("it is archived");
    sim.restore_object(&request("it_archive", None, Expedited), start()).expect("it is archived");
    assert_eq!(kinds(&sim.take_events(start() + hours(1))), [Initiated; 4]);
    let events = sim.take_events(start() + hours(2));
    assert_eq!(kinds(&events), [Completed; 2]);
    assert_eq!((events[0].object.key.as_str(), &events[0]), ("it_archive", &events[1]));
    let lost = sim.sent_events().iter().filter(|event| event.copies == 0).count();
    assert_eq!(lost, 1);
}

#[test]
fn events_overtake_each_other() {
    let mut sim = sim();
    sim.set_event_faults(EventFaults { duplicate: 20, jitter_seconds: 600, ..EventFaults::default() });
    for key in ["flexible", "it_archive"] {
        let days = (key == "flexible").then_some(1);
        sim.restore_object(&request(key, days, Expedited), start()).expect("it is archived");
    }
    let arrived = kinds(&sim.take_events(start() + hours(1)));
    assert_eq!(arrived.len(), 84);
    let completed_first = arrived.windows(2).any(|pair| pair == [Completed, Initiated]);
    assert!(completed_first, "each of the copies has its own time");
}

#[test]
fn an_event_tells_of_its_own_time_however_late_it_is_taken() {
    let mut sim = sim();
    sim.restore_object(&request("flexible", Some(1), Standard), start()).expect("it is archived");
    let long_after = start() + hours(100);
    sim.restore_object(&request("flexible", Some(1), Standard), long_after).expect("the copy is gone");
    assert_eq!(kinds(&sim.take_events(long_after)), [Initiated, Completed, Expired, Initiated]);
}
