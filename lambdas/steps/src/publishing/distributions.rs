//! Reads the distributions that show a bucket, and decides whether their viewer-request functions may change paths.

use crate::Settings;
use crate::ports::{Distributions, PortError, ReadDistributions};

/// The distributions that show a bucket and that the stack may invalidate.
///
/// A viewer-request function runs before the cache lookup and may rewrite paths. A CloudFront Function may also select
/// another origin. Then the object under a path is unknown, as with a function on origin request, so such a behaviour
/// counts as one with an origin function. The setting `DirectoryIndex` declares that the function adds only the index
/// document, so then it does not count.
pub async fn read(bucket: &str, cdn: &impl ReadDistributions, settings: &Settings) -> Result<Distributions, PortError> {
    let mut read = cdn.distributions(bucket, &settings.distribution_ids).await?;
    if settings.directory_index.is_empty() {
        for distribution in &mut read.shown {
            for behaviour in &mut distribution.behaviours {
                behaviour.has_origin_function |= distribution.viewer_functions.contains_key(&behaviour.pattern);
            }
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests;
