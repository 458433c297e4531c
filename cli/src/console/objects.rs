//! The objects of a restore, page by page.

use maud::{Markup, html};
use thaw_core::quantity;

use crate::answers::{Object, ObjectPage};
use crate::api;
use crate::console::page::{Frame, Page};
use crate::console::states::ObjectState;
use crate::console::upstream::Upstream;
use crate::console::words;
use crate::context::restore_path;
use crate::error::Error;
use crate::output::{printable, size, time};

/// Objects on a page.
const ON_A_PAGE: usize = 100;

/// A page of a filtered list may be empty without being the last. So many of the API's pages are read for one of these.
const PAGES_READ: usize = 10;

/// Which objects.
#[derive(Debug, Default, serde::Deserialize)]
pub struct Which {
    /// Only those in this state.
    #[serde(default)]
    pub state: Option<String>,
    /// Where the page begins.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// The page.
pub async fn page(id: &str, which: &Which, frame: &Frame, upstream: &Upstream) -> Page {
    let main = match read(id, which, upstream).await {
        Ok(page) => html! { (head(id, which)) (table(id, &page, which, frame)) },
        Err(error) => return Page::error(&error),
    };
    Page::still(&format!("Objects of {id}"), main)
}

async fn read(id: &str, which: &Which, upstream: &Upstream) -> Result<ObjectPage, Error> {
    let path = restore_path(id)?;
    let state = match which.state.as_deref().filter(|state| !state.is_empty()) {
        Some(word) => {
            let known = ObjectState::named(word);
            known.ok_or_else(|| {
                Error::Usage(format!("No object is {word:?}. The links above the list have the states."))
            })?;
            format!("&state={word}")
        }
        None => String::new(),
    };
    let mut cursor = which.cursor.clone();
    let mut found = ObjectPage { objects: Vec::new(), next_cursor: None };
    for _ in 0..PAGES_READ {
        let after = cursor.as_deref().map(|cursor| format!("&cursor={}", words::in_query(cursor))).unwrap_or_default();
        let polled = upstream.poll(&format!("{path}/objects?limit={ON_A_PAGE}{state}{after}")).await;
        found = match polled.json() {
            Ok(answer) => api::read(answer)?,
            Err(error) => return Err(Error::Failed(error.to_string())),
        };
        cursor = found.next_cursor.clone();
        if !found.objects.is_empty() || cursor.is_none() {
            break;
        }
    }
    Ok(found)
}

fn head(id: &str, which: &Which) -> Markup {
    let chosen = which.state.as_deref().and_then(ObjectState::named);
    let address = format!("/restores/{id}/objects");
    html! {
        p.path { a href="/" { "Restores" } " / " a href={ "/restores/" (id) } { (id) } " / " }
        h1 { "Objects" }
        nav.filter aria-label="Objects by state" {
            a href=(address) aria-current=[chosen.is_none().then_some("page")] { "all" }
            @for state in ObjectState::ALL {
                a href={ (address) "?state=" (state.as_str()) } aria-current=[(chosen == Some(state)).then_some("page")] { (state.as_str()) }
            }
        }
    }
}

fn table(id: &str, page: &ObjectPage, which: &Which, frame: &Frame) -> Markup {
    let state = which.state.as_deref().map(|state| format!("state={}&", words::in_query(state))).unwrap_or_default();
    html! {
        @if page.objects.is_empty() {
            p.empty { @if page.next_cursor.is_some() { "None up to here." } @else { "No objects." } }
        } @else {
            div.wide { table {
                thead { tr { th { "State" } th { "Key" } th.number { "Size" } th { "Since" } } }
                tbody { @for object in &page.objects { (row(object, frame)) } }
            } }
        }
        p.pages {
            @if which.cursor.is_some() { a href={ "/restores/" (id) "/objects?" (state) } { "First page" } " " }
            @if let Some(cursor) = &page.next_cursor { a href={ "/restores/" (id) "/objects?" (state) "cursor=" (words::in_query(cursor)) } rel="next" { "Next page" } }
        }
    }
}

fn row(object: &Object, frame: &Frame) -> Markup {
    let zone = &frame.zone;
    let class = ObjectState::named(&object.state).map_or("", ObjectState::as_str);
    html! {
        tr {
            td { span.swatch.(class) aria-hidden="true" {} " " (object.state) }
            td.id {
                span.key { (printable(&object.key)) }
                @if let Some(version) = &object.version_id { p.says { "version " (printable(version)) } }
                @if let Some(message) = &object.message { p.says { (printable(message)) } }
                @if let Some(at) = object.copy_expires { p.says { "until " (time(at, zone)) @if let Some(how) = &object.how { ", " (how.replace('_', " ")) } } }
                @match object.paths.as_slice() {
                    [] => {}
                    [path] => p.says { "path " span.key { (printable(path)) } },
                    paths => details { summary { (quantity(paths.len() as u64, "path", "paths")) } ul { @for path in paths { li.key { (printable(path)) } } } },
                }
            }
            td.number data-label="size" { (size(object.size)) }
            td.time data-label="since" { (time(object.since, zone)) }
        }
    }
}
