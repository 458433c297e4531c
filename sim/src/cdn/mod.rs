//! CloudFront: distributions, invalidations, and a cache at the edge that can be stale.

mod distribution;
mod edge;
mod invalidation;
mod path;

pub use distribution::{
    Behavior, ContinuousDeploymentPolicy, CustomErrorResponse, Distribution, DistributionConfig, HoldingPage, Origin,
    OriginGroup,
};
pub use edge::{CacheOutcome, EdgeAnswer};
pub use invalidation::{Invalidation, InvalidationPage, InvalidationRequest, InvalidationStatus};
pub use path::to_key;

#[cfg(test)]
mod spellings;
#[cfg(test)]
mod tests;
