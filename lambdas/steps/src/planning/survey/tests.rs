use serde_json::{Value, json};
use thaw_core::{Behaviour, ErrorRule, Head, Missing, Origin, PathRules, QueryStrings, S3Uri};

use super::*;
use crate::ports::{ListFrom, Page, Piece, PortError, VersionMarker, VersionPage};
use crate::testing::memory::{MemoryFiles, MemoryLedger};
use crate::testing::stack::{now, settings};

/// A bucket where the first folder of a key says what the object is. Each object has a GiB, and the versions v1 and
/// v2.
struct Archive;

impl ReadArchive for Archive {
    async fn head(&self, object: &ObjectId) -> Result<Facts, PortError> {
        const ONGOING: &str = r#"ongoing-request="true""#;
        const DONE: &str = r#"ongoing-request="false", expiry-date="Fri, 27 Nov 2026 00:00:00 GMT""#;
        let (class, status, restore) = match object.key.split('/').next().unwrap() {
            "flexible" => ("GLACIER", None, None),
            "deep" => ("DEEP_ARCHIVE", None, None),
            "tiered" => ("INTELLIGENT_TIERING", Some("ARCHIVE_ACCESS"), None),
            "running" => ("GLACIER", None, Some(ONGOING)),
            "copied" => ("GLACIER", None, Some(DONE)),
            "standard" => ("STANDARD", None, None),
            "denied" => return Ok(Facts::Missing(Missing::Denied)),
            _ => return Ok(Facts::Missing(Missing::Key)),
        };
        Ok(Facts::Found(Head {
            storage_class: Some(class.to_owned()),
            archive_status: status.map(str::to_owned),
            restore: restore.map(str::to_owned),
            version: object.version.clone().or_else(|| Some("v2".to_owned())),
            size: 1 << 30,
        }))
    }

    async fn list(&self, _: &str, _: &str, _: &ListFrom) -> Result<Page, PortError> {
        Ok(Page::default())
    }

    async fn folders(&self, _: &str, _: &str, _: &str) -> Result<Vec<String>, PortError> {
        Ok(Vec::new())
    }

    async fn list_versions(&self, _: &str, _: &str, _: Option<&VersionMarker>) -> Result<VersionPage, PortError> {
        Ok(VersionPage::default())
    }

    async fn has_versions(&self, _: &str) -> Result<bool, PortError> {
        Ok(false)
    }

    async fn read(&self, _: &S3Uri, _: u64, _: Option<&str>) -> Result<Option<Piece>, PortError> {
        Ok(None)
    }
}

struct Cdn(Vec<Distribution>);

impl ReadDistributions for Cdn {
    async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
        Ok(Distributions { shown: self.0.clone(), ..Distributions::default() })
    }
}

/// A distribution that shows the keys under a prefix, and caches errors for `error_ttl` seconds.
fn showing(prefix: &str, error_ttl: u64) -> Distribution {
    let domain = "archive.s3.amazonaws.com".to_owned();
    Distribution {
        id: "E1".to_owned(),
        origins: vec![Origin { id: "s3".to_owned(), domain, path: prefix.to_owned() }],
        behaviours: vec![Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), ..Behaviour::default() }],
        errors: vec![ErrorRule { code: 403, min_ttl: error_ttl }],
        ..Distribution::default()
    }
}

const MOST: u64 = 1_000;

const A_MONTH: u64 = 30 * 86_400;

async fn survey(distributions: Vec<Distribution>, keys: Value, more: Value) -> Result<Survey, StepError> {
    survey_at_most(MOST, distributions, keys, more).await
}

async fn survey_at_most(
    most: u64,
    distributions: Vec<Distribution>,
    keys: Value,
    more: Value,
) -> Result<Survey, StepError> {
    let mut body = json!({"bucket": "archive", "keys": keys});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Survey::of(
        &Request::parse(&body).unwrap(),
        most,
        &Archive,
        &Cdn(distributions),
        &MemoryLedger::default(),
        &MemoryFiles::default(),
        &settings(),
        now(),
    )
    .await
}

/// The survey of a request whose objects are all shown, and long stale.
async fn shown(keys: Value, more: Value) -> Survey {
    survey(vec![showing("", A_MONTH)], keys, more).await.unwrap()
}

fn all() -> Value {
    json!(["flexible/1", "flexible/2", "deep/1", "tiered/1", "running/1", "copied/1", "standard/1", "gone", "denied"])
}

#[tokio::test]
async fn each_object_pays_for_its_own_request() {
    let cost = shown(all(), json!({"days": 30})).await.cost;
    let lines: Vec<_> = cost.lines.iter().map(|line| (line.amount.as_str(), line.usd.as_f64())).collect();
    // A restore that runs already may be made faster, so it pays a retrieval. A live copy only pays its longer
    // life. An object that moves back for good has no copy, but the storage of the more expensive months.
    assert_eq!(lines[0], ("5 at Standard", (3.0 * 0.05 + 0.1) / 1_000.0));
    assert_eq!(lines[1], ("5.0 GiB", 3.0 * 0.01 + 0.02));
    assert_eq!(lines[2], ("4.0 GiB for 30 days", 4.0 * 0.023));
    assert!(lines[3].0.starts_with("1.0 GiB in dearer tiers") && lines[3].1 == 0.0372, "{lines:?}");
    assert!(lines[4].0.starts_with("6 paths") && lines[4].1 == 6.0 * 0.005, "{lines:?}");
    assert_eq!(lines[5].0, "9 objects");
    let cost = shown(json!(["flexible/1"]), json!({})).await.cost;
    assert_eq!(cost.lines.len(), 5, "what does not move back has no such line");
}

#[tokio::test]
async fn objects_are_counted_by_where_they_are_and_by_kind() {
    let survey = shown(all(), json!({"join_only": true})).await;
    let expected = Counts { total: 9, planned: 1, available: 1, restored: 1, failed: 6, ..Counts::default() };
    assert_eq!(survey.counts, expected);
    let kinds: Vec<_> = survey.by_kind.iter().map(|total| (total.kind, total.objects, total.bytes >> 30)).collect();
    assert_eq!(kinds, [(ArchiveKind::Flexible, 4, 4), (ArchiveKind::Deep, 1, 1), (ArchiveKind::ItArchive, 1, 1)]);
    assert_eq!(survey.failures.len(), 6);
}

#[tokio::test]
async fn a_plan_is_ready_between_the_first_and_the_last_object() {
    let hours = |from, to| Some([from, to].map(|hours: u64| now() + Duration::from_secs(hours * 3_600)));
    for (keys, join_only, ready) in [
        (json!(["flexible/1", "deep/1", "copied/1", "standard/1"]), false, hours(3, 12)),
        (json!(["running/1"]), false, hours(3, 5)),
        // The tier of the other requester is unknown: Bulk takes longest.
        (json!(["running/1"]), true, hours(5, 12)),
        (json!(["copied/1"]), true, None),
        (json!(["copied/1", "standard/1", "gone"]), false, None),
    ] {
        let survey = shown(keys.clone(), json!({"join_only": join_only})).await;
        assert_eq!(survey.ready_between, ready, "{keys} {join_only}");
    }
}

#[tokio::test]
async fn paths_are_those_of_wanted_objects_under_every_distribution() {
    let two = || vec![showing("", A_MONTH), showing("", A_MONTH)];
    let paths = async |keys, more| survey(two(), keys, more).await.unwrap().paths;
    assert_eq!(paths(json!(["flexible/1", "standard/1", "gone"]), json!({})).await, 2);
    assert_eq!(paths(json!([{"key": "flexible/1", "version_id": "v2"}]), json!({})).await, 2);
    assert_eq!(paths(json!([{"key": "flexible/1", "version_id": "v1"}]), json!({})).await, 0);
    assert_eq!(paths(json!(["flexible/1"]), json!({"publish": {"when": "never"}})).await, 0);
}

#[tokio::test]
async fn each_warning_comes_where_it_applies_and_nowhere_else() {
    let flexible = || json!(["flexible/1"]);
    let old = || json!([{"key": "flexible/1", "version_id": "v1"}]);
    let everywhere = || vec![showing("", A_MONTH)];
    let never = || json!({"publish": {"when": "never"}});
    for (distributions, keys, more, warning) in [
        (everywhere(), flexible(), json!({}), None),
        (vec![], flexible(), json!({}), Some("no distribution has the bucket archive as an origin")),
        (vec![], flexible(), never(), None),
        (vec![showing("/pub", A_MONTH)], flexible(), json!({}), Some("no distribution shows any")),
        (vec![showing("/pub", 10)], flexible(), json!({}), Some("no distribution shows any")),
        (
            vec![showing("/flexible", 10)],
            json!(["flexible/1", "deep/1"]),
            json!({"publish": {"only_if_stale": true}}),
            Some("no distribution shows 1 object of this"),
        ),
        (everywhere(), json!(["flexible/~1"]), json!({}), Some("CloudFront cannot invalidate 1 path with ~")),
        (everywhere(), json!(["flexible/a b+c+d"]), json!({}), None),
        (everywhere(), json!(["flexible/a b c"]), json!({}), Some("the keys of 1 object have several blanks")),
        (vec![showing("", 10)], flexible(), json!({}), Some("for 1 object at most a cached error can be stale")),
        (vec![showing("", 10)], flexible(), json!({"publish": {"only_if_stale": true}}), None),
        (vec![showing("", 10), showing("", A_MONTH)], flexible(), json!({}), None),
        (everywhere(), old(), json!({}), Some("for 1 object an old version is restored")),
        (everywhere(), old(), never(), None),
        (everywhere(), json!([{"key": "standard/1", "version_id": "v1"}]), json!({}), None),
        (everywhere(), json!(["tiered/1"]), json!({}), Some("1.0 GiB of Intelligent-Tiering move back for good")),
        (everywhere(), json!(["running/1"]), json!({}), Some("somebody else began to restore 1 object")),
        (everywhere(), json!(["running/1"]), json!({"join_only": true}), None),
        // The copy lives for four and a half days.
        (everywhere(), json!(["copied/1"]), json!({"join_only": true, "days": 5}), Some("1 copy expires sooner than")),
        (everywhere(), json!(["copied/1"]), json!({"join_only": true, "days": 4}), None),
        (everywhere(), json!(["copied/1"]), json!({"days": 5}), None),
        (everywhere(), json!(["flexible/1", "denied"]), json!({}), Some("S3 answers 403 for some objects")),
    ] {
        let warnings = survey(distributions, keys.clone(), more.clone()).await.unwrap().warnings;
        match warning {
            None => assert_eq!(warnings, [""; 0], "{keys} {more}"),
            Some(warning) => {
                assert!(warnings.len() == 1 && warnings[0].starts_with(warning), "{keys} {more} {warnings:?}");
            }
        }
    }
}

#[tokio::test]
async fn skipped_distributions_and_unknown_functions_are_named() {
    struct Mixed;
    impl ReadDistributions for Mixed {
        async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
            let viewer_functions = BTreeMap::from([("*".to_owned(), "rewrite".to_owned())]);
            let origin_functions = BTreeMap::from([("*".to_owned(), "folder:1".to_owned())]);
            let mut shown = vec![Distribution { viewer_functions, origin_functions, ..showing("", A_MONTH) }];
            shown[0].behaviours[0].query_strings = QueryStrings::All;
            // The access point is not worth a warning while another distribution shows all objects.
            let left_out = [
                ("E2", LeftOut::Gone),
                ("E3", LeftOut::TenantOnly),
                ("E4", LeftOut::Staging),
                ("E5", LeftOut::AccessPoint),
            ];
            let left_out = left_out.map(|(id, why)| (id.to_owned(), why)).into();
            Ok(Distributions { shown, left_out, ..Distributions::default() })
        }
    }
    let request = |more: Value| {
        let mut body = json!({"bucket": "archive", "keys": ["flexible/1"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Request::parse(&body).unwrap()
    };
    let warnings = async |more, settings: Settings| {
        let (request, ledger, files) = (request(more), &MemoryLedger::default(), &MemoryFiles::default());
        let survey = Survey::of(&request, MOST, &Archive, &Mixed, ledger, files, &settings, now());
        survey.await.unwrap().warnings
    };
    let found = warnings(json!({}), settings()).await;
    let begins = [
        "there is no distribution E2",
        "E3 is a multi-tenant",
        "E4 is a staging",
        "the function rewrite sees the requests of the behaviour * of E1",
        "the function folder:1 sees, on their way to the origin, the requests of the behaviour * of E1",
        "E1 caches by query string (*)",
    ];
    assert_eq!(found.len(), begins.len(), "{found:?}");
    assert!(found.iter().zip(begins).all(|(warning, begins)| warning.starts_with(begins)), "{found:?}");
    let rules = r#"[{"keys": "{path...}", "paths": ["/{path...}"]}]"#;
    for (directory_index, rules, left) in
        [("index.html", "", 5), ("", rules, 4), ("", r#"[{"behaviour": "/a", "keys": "a", "paths": ["/b"]}]"#, 6)]
    {
        let path_rules = PathRules::new(directory_index, rules).unwrap();
        let found = warnings(json!({}), Settings { path_rules, ..settings() }).await;
        assert_eq!(found.len(), left, "who sets {directory_index}{rules} says what functions do: {found:?}");
    }
    assert_eq!(warnings(json!({"publish": {"when": "never"}}), settings()).await, [""; 0]);
}

#[tokio::test]
async fn objects_that_only_tenants_get_are_counted_before_they_are_paid_for() {
    struct Tenants(Vec<Distribution>);
    impl ReadDistributions for Tenants {
        async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
            let of_tenants = vec![Distribution { id: "E3".to_owned(), ..showing("", A_MONTH) }];
            let left_out = vec![("E3".to_owned(), LeftOut::TenantOnly)];
            Ok(Distributions { shown: self.0.clone(), left_out, of_tenants, ..Distributions::default() })
        }
    }
    let warnings = async |shown: Vec<Distribution>, more: Value| {
        let mut body = json!({"bucket": "archive", "keys": ["flexible/1", "deep/1"]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let (request, ledger, files) =
            (Request::parse(&body).unwrap(), &MemoryLedger::default(), &MemoryFiles::default());
        let (cdn, settings) = (Tenants(shown), settings());
        let survey = Survey::of(&request, MOST, &Archive, &cdn, ledger, files, &settings, now());
        survey.await.unwrap().warnings
    };
    let names_it = "E3 is a multi-tenant distribution";
    for (shown, counted) in [
        (vec![showing("", A_MONTH)], None),
        (vec![showing("/deep", A_MONTH)], Some("no distribution shows 1 object of this restore, except that E3")),
        (vec![], Some("no distribution shows 2 objects of this restore, except that E3")),
    ] {
        let found = warnings(shown, json!({})).await;
        let expected: Vec<&str> = [names_it].into_iter().chain(counted).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        assert!(found.iter().zip(&expected).all(|(said, begins)| said.starts_with(begins)), "{found:?}");
    }
    assert_eq!(warnings(vec![], json!({"publish": {"when": "never"}})).await, [""; 0]);
}

#[tokio::test]
async fn a_copy_that_lives_for_the_days_that_were_asked_is_long_enough() {
    let body = json!({"bucket": "archive", "keys": ["copied/1"], "join_only": true, "days": 5});
    let midnight = "2026-11-22T00:00:00Z".parse().unwrap();
    let cdn = Cdn(vec![showing("", A_MONTH)]);
    let survey = Survey::of(
        &Request::parse(&body).unwrap(),
        MOST,
        &Archive,
        &cdn,
        &MemoryLedger::default(),
        &MemoryFiles::default(),
        &settings(),
        midnight,
    )
    .await
    .unwrap();
    assert_eq!(survey.warnings, [""; 0]);
}

#[tokio::test]
async fn the_first_failures_are_shown() {
    let gone: Vec<String> = (0..30).map(|n| format!("gone/{n}")).collect();
    assert_eq!(shown(json!(gone), json!({})).await.failures.len(), 20);
}

#[tokio::test]
async fn a_plan_over_http_is_limited_to_its_maximum() {
    // S3 is asked about each object.
    let of_two = |most| survey_at_most(most, vec![], json!(["flexible/1", "deep/1"]), json!({}));
    assert!(of_two(20).await.is_ok());
    let refused = of_two(19).await.unwrap_err();
    assert!(refused.to_string().contains("19 of a listing at most"), "{refused}");
}

#[tokio::test]
async fn days_are_refused_only_where_no_object_can_have_a_copy() {
    let days = || json!({"days": 7});
    let refused = survey(vec![], json!(["tiered/1", "standard/1"]), days()).await.unwrap_err();
    assert!(refused.to_string().starts_with("days: every archived object"), "{refused}");
    for keys in [json!(["tiered/1", "flexible/1"]), json!(["standard/1", "gone"])] {
        survey(vec![], keys, days()).await.unwrap();
    }
    survey(vec![], json!(["tiered/1"]), json!({})).await.unwrap();
}
