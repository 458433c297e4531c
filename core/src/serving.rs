//! Whether a distribution answers viewers and therefore is invalidated, and the reason if it is not ([`LeftOut`]).

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::Distribution;

/// The settings of a distribution that decide whether it answers viewers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Serving {
    /// Whether it answers viewers (`Enabled`).
    pub enabled: bool,
    /// Whether it is the staging distribution of another one (`Staging`).
    pub staging: bool,
    /// Whether only its tenants answer viewers (`ConnectionMode` is `tenant-only`).
    pub tenant_only: bool,
    /// Its own domain name, `d….cloudfront.net`. Continuous deployment policies refer to distributions by it.
    pub domain: String,
}

/// Why a distribution is not invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeftOut {
    /// The stack's parameter names it, but it does not exist.
    Gone,
    /// It is disabled, so viewers get nothing from it.
    Disabled,
    /// It is a staging distribution, and no enabled continuous deployment policy sends viewers there.
    Staging,
    /// It is a staging distribution with viewers. The stack's parameter names only its primary distribution, and thaw may not
    /// look for it.
    NotNamed,
    /// Its tenants answer viewers, each with its own cache, and thaw does not know the tenants.
    TenantOnly,
    /// None of its origins is the bucket by name, but one is an access point, which may belong to any bucket.
    AccessPoint,
    /// It is not a distribution but a continuous deployment policy, which thaw may not read.
    PolicyDenied,
}

/// The continuous deployment policies of the distributions that answer viewers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentPolicies {
    /// The domains of the staging distributions to which enabled policies send viewers, with the ids of their primary
    /// distributions.
    pub with_viewers: BTreeMap<String, String>,
    /// The ids of the policies that thaw may not read.
    pub denied: BTreeSet<String>,
}

impl Serving {
    /// The reason why it is not invalidated; `None` if it is.
    ///
    /// A staging distribution has the origins of its primary distribution and a separate cache. Invalidating it costs
    /// every path again (Developer Guide, "Use CloudFront continuous deployment to safely test CDN configuration
    /// changes").
    pub fn left_out(&self, policies: &DeploymentPolicies) -> Option<LeftOut> {
        match self {
            Self { tenant_only: true, .. } => Some(LeftOut::TenantOnly),
            Self { enabled: false, .. } => Some(LeftOut::Disabled),
            Self { staging: true, domain, .. } if !policies.with_viewers.contains_key(domain) => Some(LeftOut::Staging),
            Self { .. } => None,
        }
    }
}

/// Distributions that are invalidated, and those that are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distributions {
    /// The distributions that are invalidated, with all that decides about paths.
    pub shown: Vec<Distribution>,
    /// The ids of the others (or domain names, if only these are known), and why.
    pub left_out: Vec<(String, LeftOut)>,
    /// Those of the others whose tenants answer viewers.
    pub of_tenants: Vec<Distribution>,
    /// How those that are invalidated answer viewers, by id.
    pub serving: BTreeMap<String, Serving>,
}

impl Distributions {
    /// Sorts distributions into those that are invalidated and the others. Each comes with its id; `None` is one that does not
    /// exist.
    ///
    /// If the distributions were `named`, staging distributions with viewers that are not among all of them are left out,
    /// because thaw may not look for them.
    pub fn sorted(
        bucket: &str,
        all: Vec<(String, Option<(Distribution, Serving)>)>,
        policies: &DeploymentPolicies,
        named: bool,
    ) -> Self {
        let mut out = Self::default();
        let mut others: BTreeSet<&String> = policies.with_viewers.keys().collect();
        for (id, read) in all {
            let why = match &read {
                Some((distribution, serving)) => {
                    let may_have = distribution.may_have_origin(bucket).then_some(LeftOut::AccessPoint);
                    serving.left_out(policies).or(may_have)
                }
                None => Some(LeftOut::Gone),
            };
            if let Some((distribution, serving)) = read {
                others.remove(&serving.domain);
                let primary = policies.with_viewers.get(&serving.domain).cloned();
                match why {
                    None => {
                        out.serving.insert(id.clone(), serving);
                        out.shown.push(Distribution { primary, ..distribution });
                    }
                    Some(LeftOut::TenantOnly) => out.of_tenants.push(distribution),
                    Some(
                        LeftOut::Gone
                        | LeftOut::Disabled
                        | LeftOut::Staging
                        | LeftOut::NotNamed
                        | LeftOut::AccessPoint
                        | LeftOut::PolicyDenied,
                    ) => {}
                }
            }
            let is_said = match why {
                // If it was not named, it was deleted between the listing and the reading.
                Some(LeftOut::Gone) => named,
                // A policy that thaw may not read may send viewers there. That is said of the policy.
                Some(LeftOut::Staging) => policies.denied.is_empty(),
                Some(
                    LeftOut::Disabled
                    | LeftOut::NotNamed
                    | LeftOut::TenantOnly
                    | LeftOut::AccessPoint
                    | LeftOut::PolicyDenied,
                )
                | None => true,
            };
            out.left_out.extend(why.filter(|_| is_said).map(|why| (id, why)));
        }
        // Found by its origin it would be among these, so it has another origin.
        out.left_out.extend(others.into_iter().filter(|_| named).map(|domain| (domain.clone(), LeftOut::NotNamed)));
        out.left_out.extend(policies.denied.iter().map(|policy| (policy.clone(), LeftOut::PolicyDenied)));
        out
    }
}

/// The ids of those of these multi-tenant distributions whose tenants get a key, or may get it.
pub fn shown_to_tenants<'a>(of_tenants: &'a [Distribution], bucket: &str, key: &str) -> Vec<&'a str> {
    let may_show =
        |one: &&Distribution| !one.paths_of(bucket, key).paths.is_empty() || one.tenants_may_have_origin(bucket);
    of_tenants.iter().filter(may_show).map(|one| one.id.as_str()).collect()
}

/// A text about an object that only the tenants of these distributions may get.
pub fn only_tenants(distributions: &[&str]) -> String {
    format!(
        "it is readable, but no distribution shows it, except that the multi-tenant distribution {} does or may show it to its tenants. thaw does not invalidate for tenants, each of which has a cache of its own: what they had cached may still be seen. Invalidate it with create-invalidation-for-distribution-tenant",
        distributions.join(", ")
    )
}

impl LeftOut {
    /// A text with the reason and what to do about it. `distribution` is its id, or its domain name if only that is known.
    pub fn says(self, distribution: &str) -> String {
        match self {
            Self::Gone => format!(
                "there is no distribution {distribution}, which the parameter DistributionIds names: nothing is invalidated there. Take it out of the parameter."
            ),
            Self::Disabled => format!(
                "the distribution {distribution} is disabled: nothing is invalidated there, and what it had cached may be seen when it is enabled again"
            ),
            Self::Staging => format!(
                "{distribution} is a staging distribution, and no enabled continuous deployment policy sends viewers to it: nothing is invalidated there"
            ),
            Self::NotNamed => format!(
                "the staging distribution {distribution} gets viewers from a continuous deployment policy, and the parameter DistributionIds does not name it: nothing is invalidated there. Add its id to the parameter, or set the parameter StagingDistributions to found."
            ),
            Self::AccessPoint => format!(
                "{distribution} has an access point as an origin, and thaw does not know of which bucket: nothing is invalidated there. If it is this bucket, make the bucket itself the origin."
            ),
            Self::PolicyDenied => format!(
                "the continuous deployment policy {distribution} may not be read: whether it sends viewers to a staging distribution is not known, and nothing is invalidated there. Allow cloudfront:GetContinuousDeploymentPolicy."
            ),
            Self::TenantOnly => format!(
                "{distribution} is a multi-tenant distribution: thaw invalidates nothing for its tenants, each of which has a cache of its own. Invalidate them with create-invalidation-for-distribution-tenant."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Behaviour, Origin};

    #[test]
    fn only_distributions_with_viewers_are_invalidated() {
        let live = Serving { enabled: true, domain: "d1.cloudfront.net".to_owned(), ..Serving::default() };
        let staging = Serving { staging: true, ..live.clone() };
        let viewers = |domains: &[&str]| DeploymentPolicies {
            with_viewers: domains.iter().map(|domain| ((*domain).to_owned(), "E0".to_owned())).collect(),
            ..DeploymentPolicies::default()
        };
        for (serving, with_viewers, why) in [
            (live.clone(), viewers(&[]), None),
            (Serving { enabled: false, ..live.clone() }, viewers(&["d1.cloudfront.net"]), Some(LeftOut::Disabled)),
            (staging.clone(), viewers(&[]), Some(LeftOut::Staging)),
            (staging.clone(), viewers(&["d2.cloudfront.net"]), Some(LeftOut::Staging)),
            (staging.clone(), viewers(&["d1.cloudfront.net"]), None),
            (Serving { enabled: false, ..staging }, viewers(&["d1.cloudfront.net"]), Some(LeftOut::Disabled)),
            (Serving { tenant_only: true, ..live }, viewers(&[]), Some(LeftOut::TenantOnly)),
        ] {
            assert_eq!(serving.left_out(&with_viewers), why, "{serving:?}");
        }
    }

    /// A distribution with this origin, and how it serves.
    fn read(id: &str, domain: &str, path: &str, serving: Serving) -> (String, Option<(Distribution, Serving)>) {
        let origin = Origin { id: "s3".to_owned(), domain: domain.to_owned(), path: path.to_owned() };
        let behaviour = Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), ..Behaviour::default() };
        let distribution = Distribution {
            id: id.to_owned(),
            origins: vec![origin],
            behaviours: vec![behaviour],
            ..Distribution::default()
        };
        let serving = Serving { domain: format!("{id}.cloudfront.net"), ..serving };
        (id.to_owned(), Some((distribution, serving)))
    }

    const ARCHIVE: &str = "archive.s3.eu-central-1.amazonaws.com";

    #[test]
    fn distributions_without_viewers_are_left_out_and_do_not_stop_the_others() {
        let whole = |id: &str, staging| read(id, ARCHIVE, "", Serving { enabled: true, staging, ..Serving::default() });
        let all = || vec![whole("E1", false), ("E2".to_owned(), None), whole("E3", true), whole("E4", true)];
        let with_viewers =
            ["E4.cloudfront.net", "E5.cloudfront.net"].map(|domain| (domain.to_owned(), "E1".to_owned()));
        let viewers = DeploymentPolicies { with_viewers: with_viewers.into(), ..DeploymentPolicies::default() };
        let named = Distributions::sorted("archive", all(), &viewers, true);
        let shown: Vec<_> = named.shown.iter().map(|one| (one.id.as_str(), one.primary.as_deref())).collect();
        assert_eq!(shown, [("E1", None), ("E4", Some("E1"))]);
        let why = |id: &str, why| (id.to_owned(), why);
        let staging = why("E3", LeftOut::Staging);
        let expected = [why("E2", LeftOut::Gone), staging.clone(), why("E5.cloudfront.net", LeftOut::NotNamed)];
        assert_eq!(named.left_out, expected);
        assert_eq!(Distributions::sorted("archive", all(), &viewers, false).left_out, [staging]);
        // What sends viewers to E3 and E4 is not known.
        let denied = DeploymentPolicies { denied: ["p".to_owned()].into(), ..DeploymentPolicies::default() };
        assert_eq!(Distributions::sorted("archive", all(), &denied, false).left_out, [why("p", LeftOut::PolicyDenied)]);
    }

    #[test]
    fn what_tenants_may_get_is_known_also_where_a_parameter_names_the_origin() {
        let tenants = Serving { enabled: true, tenant_only: true, ..Serving::default() };
        let may_get = |domain: &str, path: &str| {
            let all = vec![read("E2", domain, path, tenants.clone())];
            let sorted = Distributions::sorted("archive", all, &DeploymentPolicies::default(), true);
            assert_eq!(sorted.left_out, [("E2".to_owned(), LeftOut::TenantOnly)]);
            assert!(sorted.shown.is_empty());
            shown_to_tenants(&sorted.of_tenants, "archive", "a") == ["E2"]
        };
        for (domain, path, is_of_tenants) in [
            (ARCHIVE, "", true),
            (ARCHIVE, "/other", false),
            (ARCHIVE, "/{{tenant}}", true),
            ("other.s3.eu-central-1.amazonaws.com", "", false),
            ("other.s3.eu-central-1.amazonaws.com", "/{{tenant}}", false),
            ("{{bucket}}.s3.eu-central-1.amazonaws.com", "", true),
            ("{{domain}}", "", true),
            ("arch{{rest}}", "", true),
            ("archive.s3.{{region}}.amazonaws.com", "", true),
            ("archive2{{rest}}.s3.eu-central-1.amazonaws.com", "", false),
            ("{{tenant}}.example.com", "", false),
        ] {
            assert_eq!(may_get(domain, path), is_of_tenants, "{domain} {path}");
        }
    }
}
