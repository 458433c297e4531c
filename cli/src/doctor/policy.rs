//! Whether a bucket policy lets CloudFront read a bucket, as far as that can be told from the policy alone.

use serde_json::Value;
use thaw_core::matches_pattern as matches;

/// As whom CloudFront asks S3.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// As the distribution with this ARN (origin access control).
    Distribution(&'a str),
    /// As the origin access identity with this id.
    Identity(&'a str),
    /// Unsigned.
    Anyone,
}

/// What a policy says of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Grant {
    Allowed,
    /// Nothing allows it, or something denies it.
    NotAllowed,
    /// It depends on what is not known here.
    Unclear(String),
}

/// Whether the policy allows the call. `resource` is an ARN.
///
/// Conditions on the distribution's ARN and its account are evaluated; a statement with another one is unclear, except a
/// denial of requests without TLS, which CloudFront's are not meant to be.
pub fn allows(policy: Option<&Value>, caller: Caller<'_>, action: &str, resource: &str) -> Grant {
    let statements = policy.map(|policy| list(&policy["Statement"])).unwrap_or_default();
    let (mut allowed, mut unclear) = (false, None);
    for statement in statements {
        let denies = statement["Effect"] == "Deny";
        match applies(statement, caller, action, resource) {
            Applies::No => {}
            Applies::Yes if denies => return Grant::NotAllowed,
            Applies::Yes => allowed = true,
            Applies::Unclear(why) => unclear = unclear.or(Some((denies, why))),
        }
    }
    match (allowed, unclear) {
        (true, Some((true, why))) | (false, Some((false, why))) => Grant::Unclear(why),
        (true, _) => Grant::Allowed,
        (false, _) => Grant::NotAllowed,
    }
}

/// Whether a statement is about a call.
enum Applies {
    Yes,
    No,
    Unclear(String),
}

fn applies(statement: &Value, caller: Caller<'_>, action: &str, resource: &str) -> Applies {
    let name = statement["Sid"].as_str().map_or_else(|| "a statement".to_owned(), |sid| format!("the statement {sid}"));
    if let Some(field) =
        ["NotPrincipal", "NotAction", "NotResource"].into_iter().find(|field| !statement[*field].is_null())
    {
        return Applies::Unclear(format!("{name} of the bucket policy has a {field}"));
    }
    let patterns = |field: &str| list(&statement[field]).into_iter().filter_map(Value::as_str);
    let is_action = |pattern: &str| matches(&pattern.to_ascii_lowercase(), &action.to_ascii_lowercase());
    if !is_principal(&statement["Principal"], caller) || !patterns("Action").any(is_action) {
        return Applies::No;
    }
    if !patterns("Resource").any(|pattern| matches(pattern, resource)) {
        // A part of the objects.
        let part = patterns("Resource").find(|pattern| pattern.starts_with(resource.trim_end_matches(['*', '?'])));
        return match part.filter(|_| resource.ends_with('*')) {
            Some(part) => Applies::Unclear(format!("{name} of the bucket policy is about {part} only")),
            None => Applies::No,
        };
    }
    match conditions(&statement["Condition"], caller) {
        Applies::Unclear(what) => Applies::Unclear(format!("{name} of the bucket policy has a condition on {what}")),
        known @ (Applies::Yes | Applies::No) => known,
    }
}

fn is_principal(principal: &Value, caller: Caller<'_>) -> bool {
    let names = |kind: &str| list(&principal[kind]).into_iter().filter_map(Value::as_str).collect::<Vec<_>>();
    if principal == "*" || names("AWS").contains(&"*") {
        return true;
    }
    match caller {
        Caller::Distribution(_) => names("Service").contains(&"cloudfront.amazonaws.com"),
        // A policy that names its canonical user shows the identity's ARN once it is saved.
        Caller::Identity(id) => names("AWS").iter().any(|arn| arn.ends_with(&format!("Origin Access Identity {id}"))),
        Caller::Anyone => false,
    }
}

/// All conditions must hold.
fn conditions(condition: &Value, caller: Caller<'_>) -> Applies {
    let Some(operators) = condition.as_object() else { return Applies::Yes };
    for (operator, keys) in operators {
        for (key, values) in keys.as_object().into_iter().flatten() {
            let values: Vec<String> = list(values).into_iter().map(text).collect();
            let key_name = key.to_ascii_lowercase();
            let operator = operator.trim_end_matches("IfExists");
            let is_like = matches!(operator, "StringEquals" | "StringLike" | "ArnEquals" | "ArnLike");
            let holds = match (caller, key_name.as_str()) {
                (_, "aws:securetransport") if operator == "Bool" => values.iter().any(|value| value == "true"),
                (Caller::Distribution(arn), "aws:sourcearn") if is_like => {
                    values.iter().any(|value| matches(value, arn))
                }
                (Caller::Distribution(arn), "aws:sourceaccount") if is_like => {
                    arn.split(':').nth(4).is_some_and(|account| values.iter().any(|value| matches(value, account)))
                }
                _ => return Applies::Unclear(key.clone()),
            };
            if !holds {
                return Applies::No;
            }
        }
    }
    Applies::Yes
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A list, or the one element that stands for it.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        one @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![one],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:cloudfront::111122223333:distribution/E1";

    fn policy(statements: Value) -> Value {
        json!({ "Version": "2012-10-17", "Statement": statements })
    }

    /// What the documentation of origin access controls proposes.
    fn proposed(action: &str, resource: &str) -> Value {
        json!({
            "Effect": "Allow", "Principal": { "Service": "cloudfront.amazonaws.com" }, "Action": action,
            "Resource": resource, "Condition": { "StringEquals": { "AWS:SourceArn": ARN } },
        })
    }

    #[track_caller]
    fn check(statements: Value, caller: Caller<'_>, expected: &Grant) {
        let policy = policy(statements);
        assert_eq!(allows(Some(&policy), caller, "s3:GetObject", "arn:aws:s3:::archive/*"), *expected, "{policy}");
    }

    #[test]
    fn a_distribution_is_allowed_what_a_statement_with_its_arn_allows() {
        let (all, distribution) = ("arn:aws:s3:::archive/*", Caller::Distribution(ARN));
        check(proposed("s3:GetObject", all).clone(), distribution, &Grant::Allowed);
        check(json!([proposed("s3:getobject", all)]), distribution, &Grant::Allowed);
        check(json!([proposed("s3:Get*", "*")]), distribution, &Grant::Allowed);
        check(json!([proposed("s3:PutObject", all)]), distribution, &Grant::NotAllowed);
        check(json!([proposed("s3:GetObject", "arn:aws:s3:::other/*")]), distribution, &Grant::NotAllowed);
        check(json!([proposed("s3:GetObject", all)]), Caller::Distribution("arn:of:another"), &Grant::NotAllowed);
        check(json!([proposed("s3:GetObject", all)]), Caller::Identity("E2"), &Grant::NotAllowed);
        check(json!([proposed("s3:GetObject", all)]), Caller::Anyone, &Grant::NotAllowed);
        assert_eq!(allows(None, distribution, "s3:GetObject", all), Grant::NotAllowed);
        let mut of_account = proposed("s3:GetObject", all);
        of_account["Condition"] = json!({ "StringEquals": { "aws:SourceAccount": ["111122223333"] } });
        check(json!([of_account]), distribution, &Grant::Allowed);
    }

    #[test]
    fn an_identity_and_the_public_are_known_by_their_principals() {
        let get = |principal: Value| json!([{ "Effect": "Allow", "Principal": principal, "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::archive/*"] }]);
        let arn = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E2";
        check(get(json!({ "AWS": [arn] })), Caller::Identity("E2"), &Grant::Allowed);
        check(get(json!({ "AWS": arn })), Caller::Identity("E3"), &Grant::NotAllowed);
        check(get(json!({ "AWS": arn })), Caller::Anyone, &Grant::NotAllowed);
        for everybody in [json!("*"), json!({ "AWS": "*" })] {
            check(get(everybody.clone()), Caller::Anyone, &Grant::Allowed);
            check(get(everybody), Caller::Distribution(ARN), &Grant::Allowed);
        }
    }

    #[test]
    fn a_denial_counts_more_and_what_cannot_be_told_is_said() {
        let allow = proposed("s3:GetObject", "arn:aws:s3:::archive/*");
        let deny = |condition: Value| {
            let deny = json!({ "Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "*", "Condition": condition });
            json!([allow, deny])
        };
        let distribution = Caller::Distribution(ARN);
        check(deny(Value::Null), distribution, &Grant::NotAllowed);
        check(deny(json!({ "Bool": { "aws:SecureTransport": "false" } })), distribution, &Grant::Allowed);
        let unclear = |why: &str| Grant::Unclear(why.to_owned());
        let of_network = json!({ "NotIpAddress": { "aws:SourceIp": "10.0.0.0/8" } });
        check(
            deny(of_network),
            distribution,
            &unclear("the statement No of the bucket policy has a condition on aws:SourceIp"),
        );
        let part = json!([proposed("s3:GetObject", "arn:aws:s3:::archive/img/*")]);
        check(
            part,
            distribution,
            &unclear("a statement of the bucket policy is about arn:aws:s3:::archive/img/* only"),
        );
        let not = json!([{ "Effect": "Allow", "Principal": "*", "NotAction": "s3:Put*", "Resource": "*" }]);
        check(not, distribution, &unclear("a statement of the bucket policy has a NotAction"));
    }

    #[test]
    fn patterns_are_those_of_iam() {
        for (pattern, text, expected) in [
            ("a*c", "abbc", true),
            ("a*c", "ac", true),
            ("a?c", "ac", false),
            ("a?c", "abc", true),
            ("*", "", true),
            ("", "", true),
            ("a", "ab", false),
            ("arn:*/E*", "arn:x/E1", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
