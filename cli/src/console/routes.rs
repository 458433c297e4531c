//! The addresses of the console: who may ask for them, which page answers, and the headers of every answer.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Form as Body, Path, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, COOKIE, ETAG, HOST, IF_NONE_MATCH, LOCATION, ORIGIN, SET_COOKIE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::commands::open;
use crate::console::access::{Asked, Entry, Gate, Refusal};
use crate::console::form::Form;
use crate::console::page::{self, Frame, Mode, Page};
use crate::console::plan::{self, Agreed, AgreedFollowUp};
use crate::console::upstream::{Call, Upstream};
use crate::console::{follow_ups, list, objects, restore};
use crate::context::restore_path;
use crate::error::Error;

/// What the routes share.
pub struct Console {
    pub gate: Gate,
    pub frame: Frame,
    pub upstream: Upstream,
}

type Shared = State<Arc<Console>>;

/// All addresses.
pub fn routes(console: Arc<Console>) -> Router {
    let changes = Router::new()
        .route("/restores", post(start))
        .route("/restores/{id}/cancel", post(cancel))
        .route("/restores/{id}/{call}", post(start_follow_up))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&console), only_if_changes_are_allowed));
    let pages = Router::new()
        .route("/", get(all))
        .route("/new", get(empty_form).post(filled_form))
        .route("/plan", post(planned))
        .route("/restores/{id}", get(one))
        .route("/restores/{id}/objects", get(objects_of))
        .route("/restores/{id}/execution", get(execution))
        .route("/restores/{id}/{call}", get(planned_follow_up))
        .merge(changes)
        .fallback(nothing_here)
        .layer(middleware::from_fn_with_state(Arc::clone(&console), let_in));
    let assets = Router::new()
        .route("/style.css", get(|| file("text/css", include_str!("assets/style.css"))))
        .route("/console.js", get(|| file("text/javascript", include_str!("assets/console.js"))))
        .route("/icon.svg", get(|| file("image/svg+xml", include_str!("assets/icon.svg"))))
        .layer(middleware::from_fn_with_state(Arc::clone(&console), at_the_right_address));
    pages.merge(assets).layer(middleware::from_fn(with_headers)).with_state(console)
}

/// What decides whether a request is let in.
fn asked(request: &Request) -> Asked<'_> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let query = request.uri().query().unwrap_or_default();
    Asked {
        is_post: request.method() != Method::GET && request.method() != Method::HEAD,
        host: header(HOST),
        origin: header(ORIGIN),
        fetch_site: header(HeaderName::from_static("sec-fetch-site")),
        cookies: header(COOKIE),
        token: query.split('&').find_map(|pair| pair.strip_prefix("token=")).filter(|_| request.uri().path() == "/"),
    }
}

async fn let_in(State(console): Shared, request: Request, next: Next) -> Response {
    let has_token = asked(&request).token.is_some();
    match console.gate.let_in(&asked(&request)) {
        // Whoever opens a used address again is let in by the cookie. The token leaves the address bar all the same.
        Ok(Entry::Session) if has_token => to("/"),
        Ok(Entry::Session) => next.run(request).await,
        Ok(Entry::First { set_cookie }) => ([(SET_COOKIE, set_cookie)], to("/")).into_response(),
        Err(refusal) => refused(refusal),
    }
}

async fn at_the_right_address(State(console): Shared, request: Request, next: Next) -> Response {
    match console.gate.at_the_right_address(&asked(&request)) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refused(refusal),
    }
}

async fn only_if_changes_are_allowed(State(console): Shared, request: Request, next: Next) -> Response {
    match console.frame.mode {
        Mode::Changes => next.run(request).await,
        Mode::ReadOnly => {
            let why = "This console is read-only, so nothing was done. Start it with --allow-changes to start and cancel restores here.";
            shown(&console, &HeaderMap::new(), &Page::error(&Error::Refused(why.to_owned())))
        }
    }
}

/// Nothing of the stack is told to who is not let in.
fn refused(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::FORBIDDEN);
    let document = match refusal {
        // Under another host there is no style sheet either.
        Refusal::OtherHost => return (status, format!("{}\n", refusal.says())).into_response(),
        Refusal::OtherOrigin | Refusal::WrongToken | Refusal::UsedToken | Refusal::NoCookie => {
            page::bare("Not let in", refusal.says())
        }
    };
    (status, [(CONTENT_TYPE, HTML)], document).into_response()
}

const HTML: &str = "text/html; charset=utf-8";

/// `default-src 'none'`: nothing is loaded, sent or embedded that is not named here, and no script or style is inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

async fn with_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        // Not `no-referrer`: a form's Origin would be null.
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, kind)], text).into_response()
}

fn to(address: &str) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, address)]).into_response()
}

/// A page as an answer; without its text if the script has it already.
fn shown(console: &Console, headers: &HeaderMap, page: &Page) -> Response {
    let document = console.frame.document(page);
    let mut hasher = DefaultHasher::new();
    document.hash(&mut hasher);
    let etag = format!("\"{:016x}\"", hasher.finish());
    let next = page.next.map_or_else(|| "never".to_owned(), |next| next.as_millis().to_string());
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let head = [(ETAG, etag), (HeaderName::from_static("x-thaw-next"), next)];
    if is_known {
        return (StatusCode::NOT_MODIFIED, head).into_response();
    }
    (status, head, [(CONTENT_TYPE, HTML)], document).into_response()
}

async fn all(State(console): Shared, Query(which): Query<list::Which>, headers: HeaderMap) -> Response {
    shown(&console, &headers, &list::page(&which, &console.frame, &console.upstream).await)
}

async fn one(State(console): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    shown(&console, &headers, &restore::page(&id, None, &console.frame, &console.upstream).await)
}

async fn objects_of(
    State(console): Shared,
    Path(id): Path<String>,
    Query(which): Query<objects::Which>,
    headers: HeaderMap,
) -> Response {
    shown(&console, &headers, &objects::page(&id, &which, &console.frame, &console.upstream).await)
}

/// Leads to the AWS console. Where that is, CloudFormation is asked when somebody wants to go there.
async fn execution(State(console): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let page = async {
        restore_path(&id)?;
        let state_machine = console.upstream.look_up(Call::StackOutput { name: open::STATE_MACHINE }).await?;
        open::console_page(state_machine.as_str().unwrap_or_default(), Some(&id))
    };
    match page.await {
        Ok(url) => to(&url),
        Err(error) => shown(&console, &headers, &Page::error(&error)),
    }
}

async fn empty_form(State(console): Shared, headers: HeaderMap) -> Response {
    shown(&console, &headers, &Form::default().page(None, console.frame.mode))
}

async fn filled_form(State(console): Shared, headers: HeaderMap, Body(form): Body<Form>) -> Response {
    shown(&console, &headers, &form.page(None, console.frame.mode))
}

async fn planned(State(console): Shared, headers: HeaderMap, Body(form): Body<Form>) -> Response {
    shown(&console, &headers, &plan::page(&form, &console.frame, &console.upstream).await)
}

async fn start(State(console): Shared, headers: HeaderMap, Body(agreed): Body<Agreed>) -> Response {
    match plan::start(&agreed, &console.upstream).await {
        Ok(id) => to(&format!("/restores/{id}")),
        Err(error) => shown(&console, &headers, &plan::not_started(&agreed.form, &error)),
    }
}

/// What a follow-up is asked for with.
#[derive(Debug, serde::Deserialize)]
struct Days {
    #[serde(default)]
    days: Option<String>,
}

async fn planned_follow_up(
    State(console): Shared,
    Path((id, call)): Path<(String, String)>,
    Query(Days { days }): Query<Days>,
    headers: HeaderMap,
) -> Response {
    let Some(follow_up) = follow_ups::named(&call) else { return nothing_here(State(console), headers).await };
    let page = plan::follow_up_page(follow_up, &id, days.as_deref(), &console.frame, &console.upstream).await;
    shown(&console, &headers, &page)
}

async fn start_follow_up(
    State(console): Shared,
    Path((id, call)): Path<(String, String)>,
    headers: HeaderMap,
    Body(agreed): Body<AgreedFollowUp>,
) -> Response {
    let Some(follow_up) = follow_ups::named(&call) else { return nothing_here(State(console), headers).await };
    match plan::start_follow_up(follow_up, &id, &agreed, &console.upstream).await {
        Ok(started) => to(&format!("/restores/{started}")),
        Err(error) => {
            shown(&console, &headers, &restore::page(&id, Some(&error), &console.frame, &console.upstream).await)
        }
    }
}

async fn cancel(State(console): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let cancelled = async { console.upstream.call(Call::Delete { path: restore_path(&id)? }).await };
    match cancelled.await {
        Ok(_) => to(&format!("/restores/{id}")),
        Err(error) => {
            shown(&console, &headers, &restore::page(&id, Some(&error), &console.frame, &console.upstream).await)
        }
    }
}

async fn nothing_here(State(console): Shared, headers: HeaderMap) -> Response {
    let page = Page::error(&Error::Usage("There is no such page.".to_owned()));
    shown(&console, &headers, &Page { status: 404, ..page })
}
