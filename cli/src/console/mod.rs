//! `thaw console`: restores as pages on this machine, for a browser.
//!
//! A request comes to `routes.rs`; `access.rs` says whether it is let in; `upstream.rs` asks the API, or knows the answer; a file
//! for each page makes its HTML. The pages show what the API says and nothing else, and escape all of it.

mod access;
mod axis;
mod clock;
mod failures;
mod follow_ups;
mod form;
mod list;
mod objects;
mod page;
mod picture;
mod plan;
mod restore;
mod routes;
mod states;
mod timeline;
mod upstream;
mod words;

use std::sync::Arc;

use crate::args::ConsoleArgs;
use crate::console::access::Gate;
use crate::console::clock::Clock;
use crate::console::page::{Frame, Mode};
use crate::console::routes::Console;
use crate::console::upstream::Upstream;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;

/// Serves the pages until Ctrl-C.
pub fn run(args: &ConsoleArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let api = context.connect()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.map_err(|error| Error::Failed(format!("No thread could be started: {error}")))?;
    std::thread::scope(|scope| {
        runtime.block_on(async {
            let in_use = |error| Error::Failed(format!("127.0.0.1:{} cannot be used: {error}. Name another --port.", args.port));
            let listener = tokio::net::TcpListener::bind(("127.0.0.1", args.port)).await.map_err(in_use)?;
            let port = listener.local_addr().map_err(in_use)?.port();
            let gate = Gate::new(port)?;
            let is_local = context.global.local.is_some();
            let mode = match (args.allow_changes, args.read_only, is_local) {
                (true, _, _) | (false, false, true) => Mode::Changes,
                (false, true, _) | (false, false, false) => Mode::ReadOnly,
            };
            output::text(&format!("{}\n", gate.url()))?;
            let says = match mode {
                Mode::ReadOnly => "Open this address in a browser; it works once. The console is read-only: --allow-changes lets it start and cancel restores. Ctrl-C ends it.",
                Mode::Changes => "Open this address in a browser; it works once. The console can start and cancel restores: --read-only keeps it from that. Ctrl-C ends it.",
            };
            context.terminal.say(says);
            let frame = Frame {
                stack: api.address().url.clone(),
                region: api.address().identity.region.clone(),
                is_local,
                mode,
                clock: Clock::of(api.address()),
                zone: context.zone.clone(),
            };
            let console = Console { gate, frame, upstream: Upstream::start(&api, scope) };
            let served = axum::serve(listener, routes::routes(Arc::new(console))).await;
            served.map_err(|error| Error::Failed(format!("The console has ended: {error}")))
        })
    })?;
    Ok(Exit::Done)
}
