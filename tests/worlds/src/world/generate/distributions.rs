//! Generates the distributions beside the primary one.

use crate::rng::Rng;
use crate::world::{Behaviour, Distribution, Function, FunctionEvent, Rewrite, Rule, SECOND, Staging};

/// Another distribution of the bucket. Its origin path is shorter than that of the primary one, the same, or longer.
pub(super) fn second(rng: &mut Rng, primary_origin_path: &str) -> Distribution {
    let origin_path = match primary_origin_path {
        "" => rng.choose(&["", "", "", "/2019", "/t", "/dir", "/my%20dir"]),
        _ => rng.choose(&["", "", "/public", "/public", "/public/2019", "/public/t", "/public/my%20dir"]),
    };
    let pattern = rng.choose(&["2019/*", "t/*", "x*", "*.jpg", "dir/*", "q*", "public/*"]);
    let with_pattern = |shows_bucket, caches_by_query_string| Behaviour {
        pattern,
        ..Behaviour::default(shows_bucket, caches_by_query_string)
    };
    let is_varied = rng.one_in(2);
    let has_holding_page = rng.one_in(3);
    let behaviours = match rng.below(6) {
        0 => vec![with_pattern(true, is_varied), Behaviour::default(false, false)],
        1 => vec![with_pattern(false, false), Behaviour::default(true, is_varied)],
        2 => vec![with_pattern(true, true), Behaviour::default(true, false)],
        3 => vec![with_pattern(true, false), Behaviour::default(true, true)],
        _ => vec![Behaviour::default(true, is_varied)],
    };
    Distribution {
        id: SECOND,
        origin_path,
        behaviours,
        caches_errors: !rng.one_in(if has_holding_page { 2 } else { 4 }),
        has_holding_page,
        has_viewers: true,
    }
}

/// A staging distribution of the primary one.
pub(super) fn staging(rng: &mut Rng) -> Staging {
    Staging {
        is_policy_enabled: !rng.one_in(4),
        viewer_percent: rng.choose(&[5, 15, 50]),
        caches_errors: !rng.one_in(4),
        caches_by_query_string: rng.one_in(3),
    }
}

/// What functions rewrite. Some of the paths begin as those of other keys do, and one key has a `~` that its path has not.
const REWRITES: [Rewrite; 8] = [
    Rewrite { from: "/photos/*", to: "/2019/*", keys: "2019/{rest...}", paths: "/photos/{rest...}" },
    Rewrite { from: "/x-files/*", to: "/2019/*", keys: "2019/{rest...}", paths: "/x-files/{rest...}" },
    Rewrite { from: "/x/*", to: "/*", keys: "{rest...}", paths: "/x/{rest...}" },
    Rewrite { from: "/dir/all/*", to: "/*", keys: "{rest...}", paths: "/dir/all/{rest...}" },
    Rewrite { from: "/docs/*", to: "/my%20dir/*", keys: "my dir/{rest...}", paths: "/docs/{rest...}" },
    Rewrite { from: "/*.jpeg", to: "/*.jpg", keys: "{rest...}.jpg", paths: "/{rest...}.jpeg" },
    Rewrite { from: "/t/page-*", to: "/t/*.txt", keys: "t/{page}.txt", paths: "/t/page-{page}" },
    Rewrite { from: "/t/home-*", to: "/t/x~*", keys: "t/x~{name}", paths: "/t/home-{name}" },
];

/// A function that rewrites paths. There may be a rule of all distributions if `is_only`.
pub(super) fn function(rng: &mut Rng, is_only: bool) -> Function {
    let of_all = if is_only { Rule::OfAllDistributions } else { Rule::OfItsDistribution };
    Function {
        event: rng.choose(&[FunctionEvent::ViewerRequest, FunctionEvent::OriginRequest]),
        rewrite: rng.choose(&REWRITES),
        rule: rng.choose(&[
            Rule::Missing,
            Rule::Missing,
            Rule::OfItsDistribution,
            Rule::OfItsDistribution,
            Rule::OfItsBehaviour,
            of_all,
        ]),
    }
}
