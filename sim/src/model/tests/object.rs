use super::*;

/// The code of an error, or nothing.
fn error_response(result: Result<Head, ApiError>) -> String {
    result.map_or_else(|api_error| format!("{} {}", api_error.status(), api_error.code()), |_| String::new())
}

#[test]
fn without_its_key_an_object_is_listed_and_restored_and_neither_described_nor_read() {
    let mut sim = sim();
    let put = PutRequest::new("b", "sealed", StorageClass::Glacier, "content").with_customer_key();
    sim.put_object(put, start()).expect("the bucket is there");
    let sealed = ObjectRef::new("b", "sealed");
    let later = start() + hours(6);
    assert_eq!(outcome(sim.restore_object(&request("sealed", Some(3), RetrievalTier::Standard), start())), "202");
    for now in [start(), later] {
        assert_eq!(error_response(sim.head_object(&sealed, now)), "400 InvalidRequest");
        assert_eq!(error_response(sim.get_object(&sealed, now)), "400 InvalidRequest");
    }
    let list = ListRequest { bucket: "b".to_owned(), prefix: "sealed".to_owned(), ..ListRequest::default() };
    let listed = sim.list_objects(&list, later).expect("the bucket is there").objects;
    assert!(matches!(listed[0].head.restore, RestoreState::Copy { .. }));
}

#[test]
fn the_null_version_is_named_only_where_there_are_others() {
    let mut sim = sim();
    let named = |sim: &mut Sim, version: Option<&str>| {
        let object = ObjectRef::version("b", "flexible", version);
        sim.head_object(&object, start()).map(|head| head.version).map_err(|api_error| api_error.code().to_owned())
    };
    assert_eq!((named(&mut sim, None), named(&mut sim, Some("null"))), (Ok(None), Ok(None)));
    sim.create_bucket("b", true);
    let null = Ok(Some("null".to_owned()));
    assert_eq!((named(&mut sim, None), named(&mut sim, Some("null"))), (null.clone(), null.clone()));
    sim.put_object(PutRequest::new("b", "flexible", StorageClass::Standard, "newer"), start()).expect("it is there");
    assert_ne!(named(&mut sim, None), null);
    assert_eq!(named(&mut sim, Some("null")), null);
}

#[test]
fn who_names_the_null_version_restores_it_and_its_events_do_not() {
    let mut sim = sim();
    let null = |version| RestoreRequest {
        object: ObjectRef::version("b", "flexible", version),
        ..request("flexible", Some(3), RetrievalTier::Standard)
    };
    assert_eq!(outcome(sim.restore_object(&null(Some("null")), start())), "202");
    assert_eq!(sim.restore_calls(&ObjectRef::new("b", "flexible")).started, 1, "it is the object");
    let events = sim.take_events(start() + hours(6));
    assert_eq!(events.len(), 2);
    assert!(events.iter().all(|event| event.to_json()["detail"]["object"].get("version-id").is_none()));
}

#[test]
fn of_a_bucket_in_another_region_nothing_is_told_but_where_it_is() {
    let mut sim = sim();
    sim.set_bucket_region("b", "eu-west-1").expect("the bucket is there");
    let api_error = sim.head_object(&ObjectRef::new("b", "flexible"), start()).expect_err("it is elsewhere");
    assert_eq!((api_error.status(), api_error.region()), (301, Some("eu-west-1")));
    assert_eq!(
        outcome(sim.restore_object(&request("flexible", Some(3), RetrievalTier::Bulk), start())),
        "301 PermanentRedirect"
    );
    sim.set_bucket_region("b", "us-east-1").expect("the bucket is there");
    assert!(sim.head_object(&ObjectRef::new("b", "flexible"), start()).is_ok());
}
