//! Reads the distributions that show a bucket, and decides which of their functions may change what a path shows.

use std::collections::BTreeSet;

use crate::Settings;
use crate::ports::{Distributions, PortError, ReadDistributions};

/// The distributions that show a bucket and that the stack may invalidate, with what the settings say of their functions.
///
/// A viewer-request function runs before the cache lookup and may rewrite paths, and an origin-request function may ask for
/// another object. Both may also select another origin. Then the object under a path is unknown, so the behaviour of such a
/// function counts as one with an origin function; unless the settings `DirectoryIndex` or `PathRules` say what it does.
pub async fn read(bucket: &str, cdn: &impl ReadDistributions, settings: &Settings) -> Result<Distributions, PortError> {
    let mut read = cdn.distributions(bucket, &settings.distribution_ids).await?;
    for distribution in read.shown.iter_mut().chain(&mut read.of_tenants) {
        distribution.rules = settings.path_rules.clone();
        let undeclared: BTreeSet<String> =
            distribution.undeclared().into_iter().map(|undeclared| undeclared.behaviour.to_owned()).collect();
        for behaviour in &mut distribution.behaviours {
            behaviour.has_origin_function |= undeclared.contains(&behaviour.pattern);
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
