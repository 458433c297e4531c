//! The list of restores, newest first.

use maud::{Markup, html};
use thaw_core::Status;

use crate::answers::{Listed, ListedPage};
use crate::api;
use crate::console::page::{Frame, Page};
use crate::console::upstream::{Polled, Upstream};
use crate::console::words::{self, number};
use crate::error::Error;
use crate::output::{printable, time, times};

/// Restores on a page.
const ON_A_PAGE: usize = 50;

/// Which restores.
#[derive(Debug, Default, Clone, serde::Deserialize)]
pub struct Which {
    /// Only those with this status.
    #[serde(default)]
    pub status: Option<Status>,
    /// Where the page begins.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// The page.
pub async fn page(which: &Which, frame: &Frame, upstream: &Upstream) -> Page {
    let status = which.status.map(|status| format!("&status={}", status.as_str())).unwrap_or_default();
    let cursor =
        which.cursor.as_deref().map(|cursor| format!("&cursor={}", words::in_query(cursor))).unwrap_or_default();
    let polled = upstream.poll(&format!("/v1/restores?limit={ON_A_PAGE}{status}{cursor}")).await;
    let next = Some(polled.good_for(jiff::Timestamp::now()));
    let page = match read(&polled) {
        Ok(page) => page,
        Err(error) => return Page { next, ..Page::error(&error) },
    };
    let main = html! {
        h1 { "Restores" }
        (filter(which.status))
        div #list data-part { (table(&page, which, frame)) }
    };
    Page { as_of: Some(polled.at), next, ..Page::still("Restores", main) }
}

fn read(polled: &Polled) -> Result<ListedPage, Error> {
    match polled.json() {
        Ok(answer) => api::read(answer),
        Err(error) => Err(Error::Failed(error.to_string())),
    }
}

fn filter(chosen: Option<Status>) -> Markup {
    html! {
        nav.filter aria-label="Restores by status" {
            a href="/" aria-current=[chosen.is_none().then_some("page")] { "all" }
            @for status in Status::ALL {
                a href={ "/?status=" (status.as_str()) } aria-current=[(chosen == Some(status)).then_some("page")] { (words::status(status)) }
            }
        }
    }
}

fn table(page: &ListedPage, which: &Which, frame: &Frame) -> Markup {
    let status = which.status.map(|status| format!("status={}&", status.as_str())).unwrap_or_default();
    html! {
        @if page.restores.is_empty() {
            p.empty {
                @match which.status {
                    Some(status) => { "No restore here is " (words::status(status)) "." }
                    None => { "No restores yet. " a href="/new" { "Plan one" } ", or type thaw restore." }
                }
            }
        } @else {
            div.wide { table {
                thead { tr { th { "Status" } th { "Restore" } th { "Requested" } th { "End" } } }
                tbody { @for one in &page.restores { (row(one, frame)) } }
            } }
        }
        p.pages {
            @if which.cursor.is_some() { a href={ "/?" (status) } { "Newest" } " " }
            @if let Some(cursor) = &page.next_cursor { a href={ "/?" (status) "cursor=" (words::in_query(cursor)) } rel="next" { "Older" } }
        }
    }
}

fn row(one: &Listed, frame: &Frame) -> Markup {
    let zone = &frame.zone;
    let objects = if one.objects == 1 { "object" } else { "objects" };
    // How a restore succeeded is no news.
    let says = one.says.as_deref().filter(|_| one.status != Status::Succeeded);
    html! {
        tr {
            td { (badge(one.status)) }
            td.id {
                a #{ "to-" (one.id) } data-row href={ "/restores/" (one.id) } { (one.id) }
                p.says { (number(one.objects)) " " (objects) " of " (one.bucket) ", " @if one.publish_only { "publishing only" } @else { (one.tier.as_str()) } }
                @if let Some(says) = says { p.says { (printable(says)) } }
            }
            td.time data-label="requested" { (time(one.requested_at, zone)) }
            td.time data-label="end" {
                @match (one.completed_at, one.ready_between) {
                    (Some(at), _) => (time(at, zone)),
                    (None, Some(ready)) => { span.note { "typically readable " } (times(ready, zone)) }
                    (None, None) => {}
                }
            }
        }
    }
}

/// A status, with a sign for those who do not see its color.
pub fn badge(status: Status) -> Markup {
    let sign = match status {
        Status::Running => "●",
        Status::Succeeded => "✓",
        Status::PartlyFailed => "!",
        Status::Failed => "✗",
        Status::Cancelled => "–",
    };
    html! { span class={ "status " (status.as_str()) } { span aria-hidden="true" { (sign) } " " (words::status(status)) } }
}
