//! The distribution of the programs that measure steps.

use thaw_core::{Behaviour, Distribution, Origin};

/// Shows the whole bucket. With a function of its own on the origin's side nothing is folded: every path is asked for.
pub fn distribution(has_origin_function: bool) -> Distribution {
    let origin = Origin { id: "s3".to_owned(), domain: "archive.s3.amazonaws.com".to_owned(), path: String::new() };
    let behaviour =
        Behaviour { pattern: "*".to_owned(), target: "s3".to_owned(), has_origin_function, ..Behaviour::default() };
    let (origins, behaviours) = (vec![origin], vec![behaviour]);
    Distribution { id: "E1".to_owned(), origins, behaviours, ..Distribution::default() }
}
