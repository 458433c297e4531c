use super::*;

fn list(sim: &mut Sim, request: &ListRequest) -> (Vec<String>, Vec<String>, Option<String>) {
    let page = sim.list_objects(request, start()).expect("the bucket is there");
    (page.objects.into_iter().map(|listed| listed.key).collect(), page.common_prefixes, page.next)
}

fn filled(keys: &[&str]) -> Sim {
    let mut sim = Sim::default();
    sim.create_bucket("b", false);
    for key in keys {
        sim.put_object(PutRequest::new("b", key, StorageClass::Glacier, ""), start()).expect("the bucket is there");
    }
    sim
}

fn ask(prefix: &str) -> ListRequest {
    ListRequest { bucket: "b".to_owned(), prefix: prefix.to_owned(), ..ListRequest::default() }
}

#[test]
fn keys_come_in_byte_order_a_page_at_a_time() {
    let mut sim = filled(&["b", "a/2", "ä", "a/1", "B", "a/3"]);
    let mut request = ListRequest { max_keys: Some(2), ..ask("") };
    let mut seen = Vec::new();
    loop {
        let (keys, _, next) = list(&mut sim, &request);
        seen.extend(keys);
        if next.is_none() {
            break;
        }
        request.continuation_token = next;
    }
    assert_eq!(seen, ["B", "a/1", "a/2", "a/3", "b", "ä"]);
    assert_eq!(sim.calls("ListObjectsV2"), 3);
}

#[test]
fn a_page_holds_a_thousand_keys_whatever_is_asked() {
    let keys: Vec<String> = (0..1_001).map(|n| format!("{n:04}")).collect();
    let mut sim = filled(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let (page, _, next) = list(&mut sim, &ListRequest { max_keys: Some(5_000), ..ask("") });
    assert_eq!((page.len(), next.is_some()), (1_000, true));
}

#[test]
fn prefix_and_start_after_narrow_the_page() {
    let mut sim = filled(&["a/1", "a/2", "a/3", "b/1"]);
    let (keys, ..) = list(&mut sim, &ListRequest { start_after: Some("a/1".to_owned()), ..ask("a/") });
    assert_eq!(keys, ["a/2", "a/3"]);
    let (keys, ..) = list(&mut sim, &ListRequest { start_after: Some("A".to_owned()), ..ask("a/") });
    assert_eq!(keys, ["a/1", "a/2", "a/3"]);
}

#[test]
fn a_delimiter_rolls_keys_up() {
    let mut sim = filled(&["a/1", "a/2", "b", "c/1", "c/d/2"]);
    let mut request = ListRequest { delimiter: Some("/".to_owned()), max_keys: Some(2), ..ask("") };
    let (keys, prefixes, next) = list(&mut sim, &request);
    assert_eq!((keys, prefixes), (vec!["b".to_owned()], vec!["a/".to_owned()]));
    request.continuation_token = next;
    assert_eq!(list(&mut sim, &request), (vec![], vec!["c/".to_owned()], None));
}

#[test]
fn a_wrong_token_is_refused() {
    let mut sim = filled(&[]);
    for token in ["xyz", "f", "ff", "é"] {
        let request = ListRequest { continuation_token: Some(token.to_owned()), ..ask("") };
        assert_eq!(sim.list_objects(&request, start()).expect_err("it means nothing").code(), "InvalidArgument");
    }
}

#[test]
fn versions_are_listed_the_newest_first_with_markers() {
    let mut sim = Sim::default();
    sim.create_bucket("b", true);
    for _ in 0..2 {
        sim.put_object(PutRequest::new("b", "k", StorageClass::Glacier, ""), start()).expect("the bucket is there");
    }
    sim.delete_object(&ObjectRef::new("b", "k"), start()).expect("the bucket is there");
    let versions = sim.list_versions("b", "", None, start()).expect("the bucket is there").versions;
    let shown: Vec<_> = versions.iter().map(|version| (version.latest, version.head.is_some())).collect();
    assert_eq!(shown, [(true, false), (false, true), (false, true)]);
    assert_eq!(list(&mut sim, &ask("")), (vec![], vec![], None));
}

#[test]
fn a_page_of_versions_may_end_among_those_of_a_key() {
    let mut sim = Sim::default();
    sim.create_bucket("b", true);
    for key in ["j"].into_iter().chain(["k"; 1_500]).chain(["l"]) {
        sim.put_object(PutRequest::new("b", key, StorageClass::Glacier, ""), start()).expect("the bucket is there");
    }
    let mut page = sim.list_versions("b", "", None, start()).expect("the bucket is there");
    let next = page.next.take().expect("there are more");
    assert_eq!((page.versions.len(), next.key.as_str()), (1_000, "k"));
    let rest = sim.list_versions("b", "", Some(&next), start()).expect("the bucket is there");
    assert_eq!((rest.versions.len(), rest.versions[500].key.as_str(), &rest.next), (502, "k", &None));
    page.versions.extend(rest.versions);
    let different: std::collections::BTreeSet<_> =
        page.versions.iter().map(|version| (&version.key, &version.version)).collect();
    assert_eq!(different.len(), 1_502);
    // Without a version: after all of the key's.
    let after = ListMarker { version: None, ..next };
    let last = sim.list_versions("b", "", Some(&after), start()).expect("the bucket is there");
    assert_eq!(last.versions.iter().map(|version| version.key.as_str()).collect::<Vec<_>>(), ["l"]);
}

#[test]
fn a_page_may_hold_no_key_although_more_follow() {
    let mut sim = filled(&["a/1", "a/2", "b"]);
    sim.create_bucket("v", true);
    sim.put_object(PutRequest::new("v", "k", StorageClass::Glacier, ""), start()).expect("the bucket is there");
    let empty = |operation| FaultRule::new(operation, "EmptyPage").times(2);
    sim.set_faults(["ListObjectsV2", "ListObjectVersions"].map(empty).into());
    let mut request = ListRequest { start_after: Some("a/1".to_owned()), ..ask("a/") };
    for _ in 0..2 {
        let (keys, _, next) = list(&mut sim, &request);
        assert!(keys.is_empty() && next.is_some());
        request.continuation_token = next;
    }
    assert_eq!(list(&mut sim, &request), (vec!["a/2".to_owned()], vec![], None));
    for prefix in ["", "k"] {
        sim.set_faults(vec![empty("ListObjectVersions")]);
        let mut after = None;
        for versions in [0, 0, 1] {
            let page = sim.list_versions("v", prefix, after.as_ref(), start()).expect("the bucket is there");
            assert_eq!((page.versions.len(), page.next.is_none()), (versions, versions == 1));
            after = page.next;
        }
    }
}
