//! The console in a real browser. The steps are in `tests/browser/console.mjs`; `cargo xtask test console` says in variables
//! where the browser and the copy of the script with its packages are.

use std::process::Command;

use serde_json::json;

use super::client::Console;
use super::world;

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run cargo xtask test console"))
}

#[test]
fn the_console_does_in_a_browser_what_it_promises() {
    let api = world::api();
    let changes = Console::of(&api, &["--allow-changes"]);
    let read_only = Console::of(&api, &[]);
    let ids = json!({ "running": world::RUNNING, "hostile": world::HOSTILE_ID, "large": world::LARGE, "started": world::STARTED, "flaky": world::FLAKY });
    let consoles = json!({ "changes": changes.url, "readOnly": read_only.url, "ids": ids });
    let status = Command::new("node")
        .arg(variable("THAW_BROWSER_SCRIPT"))
        .env("CONSOLE", consoles.to_string())
        .env("BROWSER", variable("THAW_BROWSER"))
        .env("SHOTS", variable("THAW_BROWSER_SHOTS"))
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}
