use std::collections::BTreeMap;

use serde_json::{Value, json};
use thaw_core::{ErrorRule, OriginGroup, PathRules};

use super::*;
use crate::ports::PortError;
use crate::testing::stack::{body, is_problem, read};

/// An account with a distribution in front of `archive`, one that has other origins, and one that is disabled.
struct Account;

impl ReadDistributions for Account {
    async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
        let origin = |id: &str, domain: &str, path: &str| Origin {
            id: id.to_owned(),
            domain: domain.to_owned(),
            path: path.to_owned(),
        };
        let behaviour = |pattern: &str, target: &str, query_strings| Behaviour {
            pattern: pattern.to_owned(),
            target: target.to_owned(),
            query_strings,
            ..Behaviour::default()
        };
        let function = |pattern: &str, name: &str| BTreeMap::from([(pattern.to_owned(), name.to_owned())]);
        let shows = Distribution {
            id: "E1".to_owned(),
            origins: vec![
                origin("s3", "archive.s3.us-east-1.amazonaws.com", "/media"),
                origin("page", "example.com", ""),
            ],
            groups: vec![OriginGroup {
                id: "either".to_owned(),
                members: vec!["s3".to_owned(), "page".to_owned()],
                fails_over_on: vec![403, 404],
            }],
            behaviours: vec![
                behaviour("api/*", "page", QueryStrings::All),
                behaviour("img/*", "s3", QueryStrings::Whitelist(["v".to_owned()].into())),
                behaviour("*", "either", QueryStrings::None),
            ],
            errors: vec![ErrorRule { code: 403, min_ttl: 300 }],
            viewer_functions: function("img/*", "rewrite"),
            origin_functions: function("*", "folder:1"),
            ..Distribution::default()
        };
        let other = Distribution {
            id: "E2".to_owned(),
            origins: vec![origin("s3", "other.s3.amazonaws.com", "")],
            ..Distribution::default()
        };
        let left_out = vec![("E3".to_owned(), LeftOut::Disabled)];
        Ok(Distributions { shown: vec![shows, other], left_out, ..Distributions::default() })
    }
}

async fn get(query: Value) -> Response {
    let settings = Settings {
        archive_buckets: vec!["archive".to_owned(), "second".to_owned()],
        distribution_ids: vec!["E1".to_owned(), "E2".to_owned(), "E3".to_owned()],
        path_rules: PathRules::new("", r#"[{"behaviour": "img/*", "keys": "{p...}", "paths": ["/img/{p...}"]}]"#)
            .unwrap(),
        ..Settings::default()
    };
    let event = json!({"routeKey": "GET /v1/distributions", "queryStringParameters": query});
    run(&read(event), &Account, &settings).await
}

#[tokio::test]
async fn the_answer_is_what_decides_about_paths_and_their_variants() {
    let answer = body(&get(json!({"bucket": "archive"})).await);
    let function = |name: &str, event: &str, has_rule| json!([{"name": name, "event": event, "has_rule": has_rule}]);
    let expected = json!({
        "bucket": "archive", "archive_buckets": ["archive", "second"], "distribution_ids": ["E1", "E2", "E3"],
        "distributions": [
            {
                "id": "E1",
                "origins": [{"id": "s3", "domain": "archive.s3.us-east-1.amazonaws.com", "path": "/media"}],
                "behaviours": [
                    {
                        "path_pattern": "img/*", "query_strings": "whitelist", "query_string_names": ["v"],
                        "has_variants": true, "functions": function("rewrite", "viewer_request", true),
                        "has_unknown_function": false, "fails_over_on": [],
                    },
                    {
                        "path_pattern": "*", "query_strings": "none", "query_string_names": [], "has_variants": false,
                        "functions": function("folder:1", "origin_request", false), "has_unknown_function": true,
                        "fails_over_on": [403, 404],
                    },
                ],
                "error_caching": [{"status": 403, "seconds": 300}],
            },
            {"id": "E2", "origins": [], "behaviours": [], "error_caching": []},
        ],
        "left_out": [{"distribution": "E3", "reason": "disabled", "says": LeftOut::Disabled.says("E3")}],
    });
    assert_eq!(answer, expected);
}

#[tokio::test]
async fn without_a_name_the_first_bucket_is_meant_and_the_answer_names_the_others() {
    let answer = body(&get(json!({})).await);
    assert_eq!((&answer["bucket"], &answer["archive_buckets"]), (&json!("archive"), &json!(["archive", "second"])));
    let second = body(&get(json!({"bucket": "second"})).await);
    assert_eq!((&second["bucket"], &second["distributions"][0]["origins"]), (&json!("second"), &json!([])));
}

#[tokio::test]
async fn other_buckets_and_unknown_parameters_are_refused() {
    is_problem(&get(json!({"bucket": "theirs"})).await, 403, Some("bucket"));
    is_problem(&get(json!({"buckets": "archive"})).await, 400, Some("buckets"));
}
