//! Whether a distribution answers viewers and therefore is invalidated, and the reason if it is not ([`LeftOut`]).

use std::collections::BTreeSet;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    /// The stack's parameter names it, but it does not exist.
    Gone,
    /// It is disabled, so viewers get nothing from it.
    Disabled,
    /// It is a staging distribution, and no enabled continuous deployment policy sends viewers there.
    Staging,
    /// It is a staging distribution with viewers. The stack's parameter names only its primary distribution, so thaw may not
    /// invalidate it.
    NotNamed,
    /// Its tenants answer viewers, each with its own cache, and thaw does not know the tenants.
    TenantOnly,
    /// None of its origins is the bucket by name, but one is an access point, which may belong to any bucket.
    AccessPoint,
}

impl Serving {
    /// The reason why it is not invalidated; `None` if it is. `with_viewers` are the domains of the staging distributions
    /// to which enabled continuous deployment policies send viewers.
    ///
    /// A staging distribution has the origins of its primary distribution and a separate cache. Invalidating it costs
    /// every path again (Developer Guide, "Use CloudFront continuous deployment to safely test CDN configuration
    /// changes").
    pub fn left_out(&self, with_viewers: &BTreeSet<String>) -> Option<LeftOut> {
        match self {
            Self { tenant_only: true, .. } => Some(LeftOut::TenantOnly),
            Self { enabled: false, .. } => Some(LeftOut::Disabled),
            Self { staging: true, domain, .. } if !with_viewers.contains(domain) => Some(LeftOut::Staging),
            Self { .. } => None,
        }
    }
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
                "the staging distribution {distribution} gets viewers from a continuous deployment policy, and the parameter DistributionIds does not name it: nothing is invalidated there. Add its id to the parameter."
            ),
            Self::AccessPoint => format!(
                "{distribution} has an access point as an origin, and thaw does not know of which bucket: nothing is invalidated there. If it is this bucket, make the bucket itself the origin."
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

    #[test]
    fn only_distributions_with_viewers_are_invalidated() {
        let live = Serving { enabled: true, domain: "d1.cloudfront.net".to_owned(), ..Serving::default() };
        let staging = Serving { staging: true, ..live.clone() };
        let viewers = |domains: &[&str]| domains.iter().map(|domain| (*domain).to_owned()).collect();
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
}
