//! The distributions in front of a bucket.

use super::*;

#[test]
fn some_distribution_shows_the_bucket_and_all_that_do_are_invalidated() {
    let list = "aws cloudfront list-distributions";
    check(|facts| seen(facts).distributions.clear(), "distributions", &[(Problem, "none shows it", list)]);
    check(|facts| shown(facts).origins.clear(), "distributions", &[(Problem, "none shows it", list)]);
    check(|facts| shown(facts).behaviours.clear(), "behaviours", &[(Warning, "none goes to archive", "")]);
    let another: Change = |facts| facts.account_distributions.as_mut().unwrap().push(listed("E9"));
    check(another, "invalidated", &[(Warning, "not by this stack", "jq --arg value 'E1,E9'")]);
    let found_by_origin: Change = |facts| {
        facts.account_distributions.as_mut().unwrap().push(listed("E9"));
        seen(facts).distribution_ids.clear();
    };
    check(found_by_origin, "invalidated", &[]);
    for (staging, enabled, path) in [(true, true, ""), (false, false, "")] {
        let mut facts = healthy();
        let other = Listed { staging, enabled, origins: vec![(DOMAIN.to_owned(), path.to_owned())], ..listed("E9") };
        facts.account_distributions.as_mut().unwrap().push(other);
        assert!(!findings(&facts, now()).iter().any(|finding| finding.check == "invalidated"));
    }
    let elsewhere: Change = |facts| {
        let origins = vec![("other.s3.amazonaws.com".to_owned(), String::new())];
        facts.account_distributions.as_mut().unwrap().push(Listed { origins, ..listed("E9") });
    };
    check(elsewhere, "invalidated", &[]);
}

#[test]
fn a_staging_distribution_with_viewers_is_paid_too() {
    let staging: Change = |facts| facts.account_distributions.as_mut().unwrap()[0].staging = true;
    let list = "aws cloudfront list-continuous-deployment-policies";
    check(staging, "staging", &[(Note, "it is a staging distribution with viewers", list)]);
    check(|facts| facts.account_distributions = Ok(Vec::new()), "staging", &[]);
}

#[test]
fn each_reason_to_leave_a_distribution_out_has_its_verdict() {
    let gone: Change = |facts| {
        seen(facts).distribution_ids.push("E7".to_owned());
        leave_out(facts, "gone");
    };
    check(gone, "invalidated", &[(Warning, "it does not exist", "jq --arg value 'E1'")]);
    let alone: Change = |facts| {
        seen(facts).distribution_ids = vec!["E7".to_owned()];
        leave_out(facts, "gone");
    };
    check(alone, "invalidated", &[(Warning, "it does not exist", "")]);
    check(|facts| leave_out(facts, "disabled"), "invalidated", &[(Note, "it is disabled", "")]);
    check(
        |facts| leave_out(facts, "staging"),
        "invalidated",
        &[(Note, "it is a staging distribution without viewers", "")],
    );
    check(
        |facts| leave_out(facts, "not_named"),
        "invalidated",
        &[(Warning, "it is a staging distribution with viewers", "'found'")],
    );
    check(
        |facts| leave_out(facts, "tenant_only"),
        "invalidated",
        &[(Warning, "only tenants get it", "list-distribution-tenants --association-filter DistributionId=E7")],
    );
    check(|facts| leave_out(facts, "access_point"), "invalidated", &[(Warning, "its origin is an access point", "")]);
    check(
        |facts| leave_out(facts, "policy_denied"),
        "invalidated",
        &[(Warning, "its deployment policy may not be read", "")],
    );
    check(|facts| leave_out(facts, "of_a_later_version"), "invalidated", &[(Warning, "it is left out", "")]);
}

#[test]
fn an_error_is_cached_neither_so_short_that_invalidation_is_pointless_nor_so_long_that_it_is_vital() {
    for (seconds, verdict, found, command) in [
        (Some(0), Note, "403 for 0 seconds", "thaw restore s3://archive/KEY --publish never"),
        (None, Note, "403 for 10 seconds", "thaw restore s3://archive/KEY --publish never"),
        (Some(11), Well, "403 for 11 seconds", ""),
        (Some(299), Well, "403 for 4 minutes", ""),
        (Some(300), Note, "403 for 5 minutes", "aws cloudfront update-distribution --id E1"),
        (Some(86_400), Note, "403 for 1 day", ".ErrorCachingMinTTL = 60"),
    ] {
        let mut facts = healthy();
        let other = ErrorCaching { status: 404, seconds: 7 };
        let rule = seconds.map(|seconds| ErrorCaching { status: 403, seconds });
        shown(&mut facts).error_caching = [Some(other), rule].into_iter().flatten().collect();
        let finding = findings(&facts, now()).into_iter().find(|finding| finding.check == "error caching").unwrap();
        assert_eq!((finding.verdict, finding.found.as_str()), (verdict, found));
        assert!(finding.mend.unwrap_or_default().contains(command), "{found}");
    }
    let fails_over: Change = |facts| behaviour(facts).fails_over_on = vec![403, 503];
    check(fails_over, "error caching", &[(Note, "a second origin answers for archived objects", "")]);
    check(|facts| behaviour(facts).fails_over_on = vec![503], "error caching", &[]);
}

#[test]
fn query_strings_in_the_cache_key_double_the_price() {
    let variants = |facts: &mut Facts, kind: &str, names: &[&str]| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        *behaviour(facts) = SeenBehaviour {
            query_strings: kind.to_owned(),
            query_string_names: names,
            has_variants: true,
            ..behaviour(facts).clone()
        };
    };
    for (kind, names, found, command) in [
        ("all", &[][..], "in the cache key of *: all", ".DefaultCacheBehavior |= (del(.ForwardedValues"),
        ("whitelist", &["v", "w"], "in the cache key of *: v, w", CACHE_POLICY),
        ("all_except", &["utm"], "in the cache key of *: all but utm", CACHE_POLICY),
        ("unknown", &[], "not known for *", ""),
    ] {
        let mut facts = healthy();
        variants(&mut facts, kind, names);
        let finding = findings(&facts, now()).into_iter().find(|finding| finding.check == "query strings").unwrap();
        assert_eq!((finding.verdict, finding.found.as_str()), (Warning, found));
        assert!(finding.mend.unwrap_or_default().contains(command), "{found}");
    }
    let of_a_pattern: Change = |facts| {
        let named = SeenBehaviour {
            path_pattern: "img/*".to_owned(),
            query_strings: "all".to_owned(),
            has_variants: true,
            ..SeenBehaviour::default()
        };
        shown(facts).behaviours.insert(0, named);
    };
    check(
        of_a_pattern,
        "query strings",
        &[(Warning, "in the cache key of img/*: all", r#"if .PathPattern == "img/*" then"#)],
    );
    // A whitelist that names nothing makes no variants.
    check(|facts| behaviour(facts).query_strings = "whitelist".to_owned(), "query strings", &[]);
}

const CACHE_POLICY: &str = r#".CachePolicyId = "658327ea-f89d-4fab-a63d-7e88639e58f6""#;

#[test]
fn a_function_has_a_rule_or_is_named() {
    let without: Change = |facts| {
        set(facts, "PathRules", r#"[{"keys":"a","paths":["/b"]}]"#);
        shown(facts).origins[0].path = "/media".to_owned();
        grant(facts, |statements| statements[0]["Resource"] = json!("arn:aws:s3:::archive/media/*"));
        behaviour(facts).functions[0].has_rule = false;
        behaviour(facts).has_unknown_function = true;
    };
    let rules = r#"jq --arg value '[{"keys":"a","paths":["/b"]},{"distribution":"E1","behaviour":"*","keys":"media/{path...}","paths":["/{path...}"]}]'"#;
    check(without, "functions", &[(Warning, "index of * without a rule", rules)]);
    check(
        |facts| behaviour(facts).has_unknown_function = true,
        "functions",
        &[(Note, "one on origin-response of *", "")],
    );
    check(|facts| behaviour(facts).functions.clear(), "functions", &[]);
}

#[test]
fn cloudfront_may_read_the_bucket_and_tell_a_missing_key_from_an_archived_one() {
    let put = "aws s3api put-bucket-policy --bucket archive --region eu-west-1";
    let of_oac = r#""AWS:SourceArn":"arn:aws:cloudfront::111122223333:distribution/E1""#;
    check(|facts| archive(facts).policy = Ok(None), "origin access", &[(Problem, "may not read archive", of_oac)]);
    check(
        |facts| grant(facts, |statements| drop(statements.remove(0))),
        "origin access",
        &[(Problem, "may not read archive", put)],
    );
    check(
        |facts| grant(facts, |statements| drop(statements.remove(1))),
        "missing keys",
        &[(Note, "answer 403", r#""Action":"s3:ListBucket""#)],
    );
    check(
        |facts| access(facts, Access::Identity("EI".to_owned())),
        "origin access",
        &[(Problem, "may not read archive", "Origin Access Identity EI")],
    );
    let identity: Change = |facts| {
        access(facts, Access::Identity("EI".to_owned()));
        let principal = json!({ "AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity EI" });
        grant(facts, |statements| {
            statements.push(allow_get(&principal));
        });
    };
    check(identity, "origin access", &[]);
    check(identity, "missing keys", &[(Note, "answer 403", "Origin Access Identity EI")]);
    for open in [Access::Nobody, Access::ControlThatNeverSigns] {
        let mut facts = healthy();
        access(&mut facts, open);
        let of = |facts: &Facts, check: &str| findings(facts, now()).into_iter().find(|finding| finding.check == check);
        let closed = of(&facts, "origin access").unwrap();
        assert_eq!(closed.verdict, Warning);
        assert!(closed.mend.unwrap().starts_with("aws cloudfront create-origin-access-control"));
        assert!(of(&facts, "missing keys").is_none());
        grant(&mut facts, |statements| {
            statements.push(allow_get(&json!("*")));
        });
        assert_eq!(of(&facts, "origin access").unwrap().verdict, Well);
        // The public should not be told to list.
        assert_eq!(of(&facts, "missing keys").unwrap().mend, None);
    }
    let unclear: Change = |facts| {
        grant(facts, |statements| statements[0]["Condition"]["IpAddress"] = json!({ "aws:SourceIp": "10.0.0.0/8" }));
    };
    check(unclear, "origin access", &[(NotKnown, "unclear for archive", "")]);
}
