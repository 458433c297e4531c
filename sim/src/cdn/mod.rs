//! CloudFront: distributions, invalidations, and a cache at the edge that can be stale.

mod cache;
mod cache_policy;
mod distribution;
mod distribution_calls;
mod edge;
mod invalidation;
mod invalidation_calls;
mod path;

pub use cache::{CacheOutcome, EdgeResponse};
pub use cache_policy::{CachePolicy, QueryStringBehavior};
pub use distribution::{
    Behavior, ContinuousDeploymentPolicy, CustomErrorResponse, Distribution, DistributionConfig, Function, HoldingPage,
    Origin, OriginGroup, Rewrite, Traffic,
};
pub use invalidation::{Invalidation, InvalidationPage, InvalidationRequest, InvalidationStatus};
pub use path::to_key;

#[cfg(test)]
mod spellings;
#[cfg(test)]
mod tests;
