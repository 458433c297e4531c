//! Which distributions show a bucket, and what their functions are believed to do.

use crate::Settings;
use crate::ports::{Distributions, PortError, ReadDistributions};

/// The distributions that show a bucket, as far as the stack may invalidate them.
///
/// A function that sees requests before the cache does may rewrite paths, and a CloudFront Function may name another origin:
/// what is shown under a path is not known then, as with a function on the origin's side. Who sets `DirectoryIndex` says what
/// that function does.
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
