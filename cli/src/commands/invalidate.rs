//! `thaw invalidate`: a restore that only publishes. What viewers can read is invalidated, and S3 is asked for nothing.

use serde_json::json;

use crate::args::InvalidateArgs;
use crate::commands::restore;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::selection;

/// Plans the invalidation, asks, and starts exactly what was planned.
pub fn run(args: &InvalidateArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let mut request = selection::objects(&args.which)?;
    request.insert("publish_only".to_owned(), json!(true));
    if let Some(usd) = args.max_cost {
        request.insert("max_cost_usd".to_owned(), json!(usd));
    }
    restore::plan_and_start(request, args.max_cost, &args.start, "Invalidate", context)
}
