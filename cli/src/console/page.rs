//! What all pages have in common: the head, the navigation, what stack this is, and the keys.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{DOCTYPE, Markup, html};

use crate::console::clock::Clock;
use crate::console::words::number;
use crate::error::Error;
use crate::output::time;

/// Whether the console may start and cancel restores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It shows, and plans.
    ReadOnly,
    /// It starts and cancels, too.
    Changes,
}

/// What all pages are told.
#[derive(Debug)]
pub struct Frame {
    /// The API's address.
    pub stack: String,
    pub region: String,
    pub is_local: bool,
    pub mode: Mode,
    pub clock: Clock,
    pub zone: TimeZone,
}

/// A page.
pub struct Page {
    pub status: u16,
    pub title: String,
    /// The content. The script replaces each element with `data-part` by itself, if it has changed.
    pub main: Markup,
    /// What it shows was asked for then, by the real clock. `None` if it shows nothing of the API.
    pub as_of: Option<Timestamp>,
    /// After this time it is worth asking for the page again. `None` if it will be the same.
    pub next: Option<Duration>,
}

impl Page {
    /// A page that stays as it is.
    pub fn still(title: &str, main: Markup) -> Self {
        Self { status: 200, title: title.to_owned(), main, as_of: None, next: None }
    }

    /// A page that says what is wrong.
    pub fn error(error: &Error) -> Self {
        let status = match error {
            Error::Problem(problem) if problem.kind.ends_with(":no-such-restore") => 404,
            Error::Problem(_) => 422,
            Error::Usage(_) => 400,
            Error::Refused(_) => 403,
            Error::NoAnswer(_) | Error::Failed(_) | Error::Interrupted(_) => 502,
        };
        let main = html! { h1 #failed { "This did not work" } (problem(error)) p { a href="/" { "All restores" } } };
        Self { status, ..Self::still("Error", main) }
    }
}

/// What is wrong, in a box.
pub fn problem(error: &Error) -> Markup {
    html! { p.problem role="alert" { (error) } }
}

/// A document for who is not let in.
pub fn bare(title: &str, says: &str) -> String {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(title)) }
            body { main { h1 { (title) } p.lead { (says) } } }
        }
    };
    document.into_string()
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (title) " · thaw" }
        link rel="icon" href="/icon.svg" type="image/svg+xml";
        link rel="stylesheet" href="/style.css";
    }
}

impl Frame {
    /// The page as a document.
    pub fn document(&self, page: &Page) -> String {
        let now = page.as_of.map(|at| self.clock.at(at));
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head { (head(&page.title)) script src="/console.js" defer {} }
                // The script asks again first after this time; then the answers say when.
                body data-live=[page.next.map(|_| "1000")] {
                    a.skip href="#main" { "Skip to the content" }
                    header {
                        nav aria-label="Pages" {
                            a.home href="/" { "thaw" }
                            a href="/" data-key="h" { "Restores" }
                            a href="/new" data-key="n" { @match self.mode { Mode::Changes => "New restore", Mode::ReadOnly => "Plan" } }
                        }
                        p.stack { (self.region) " · " span.address title="The HTTP API of this stack" { (self.stack) } " " (self.badge()) }
                    }
                    @if self.is_local { (self.local(now)) }
                    main #main tabindex="-1" { (page.main) }
                    footer {
                        p #as-of data-part { @if let Some(at) = page.as_of { "As of " (at.to_zoned(self.zone.clone()).strftime("%H:%M:%S %Z").to_string()) "." } }
                        p #connection role="status" {}
                        p.keys-hint { button #keys-button type="button" hidden { kbd { "?" } " keys" } }
                    }
                    (keys())
                }
            }
        };
        document.into_string()
    }

    fn badge(&self) -> Markup {
        match self.mode {
            Mode::ReadOnly => {
                html! { span.badge title="Start it with --allow-changes to start and cancel restores here" { "read-only" } }
            }
            Mode::Changes => {
                html! { span.badge.changes title="Buttons here start and cancel restores" { "changes allowed" } }
            }
        }
    }

    /// What is different in a local stack.
    fn local(&self, now: Option<Timestamp>) -> Markup {
        html! {
            p #local.local data-part {
                "Local stack: nothing here is in AWS, and nothing costs money. "
                @match self.clock {
                    Clock::Real => {},
                    Clock::Faster { scale, origin: _ } => {
                        "Its clock runs " (number(u64::from(scale))) " times as fast"
                        @if let Some(now) = now { ": it shows " (time(now, &self.zone)) }
                        "."
                    }
                }
            }
        }
    }
}

/// The keys that the script knows.
fn keys() -> Markup {
    let keys = [
        ("j", "next row"),
        ("k", "row before"),
        ("Enter", "open it"),
        ("h", "all restores"),
        ("n", "plan a restore"),
        ("?", "these keys"),
    ];
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl { @for (key, does) in keys { div { dt { kbd { (key) } } dd { (does) } } } }
            form method="dialog" { button { "Close" } }
        }
    }
}
