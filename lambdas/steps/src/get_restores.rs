//! `GET /v1/restores`, `GET /v1/restores/{id}`, `GET /v1/restores/{id}/objects`: where everything stands, from the ledger.

use jiff::Timestamp;
use serde_json::Value;
use thaw_core::{Batch, Problem, RestoreId, Row, Status};

use crate::http::{self, Response};
use crate::ledger::{self, RestoreRecord, batch_key};
use crate::object_view::{ObjectPage, ObjectState, ObjectView};
use crate::ports::{Cursor, Ledger, ListRestores, WorkFiles};
use crate::restore_view::{RETRY_RUNNING_SECONDS, RestorePage, RestoreSummary, RestoreView, claims, shown};
use crate::StepError;

/// Restores on a page: a page of items of at most a few kilobytes each is one DynamoDB query.
const PAGE: usize = 50;

/// The routes of this door, as the template spells them.
pub const ROUTES: [&str; 3] = ["GET /v1/restores", "GET /v1/restores/{id}", "GET /v1/restores/{id}/objects"];

/// Answers a question about restores. Changes nothing.
pub async fn run(
    request: &http::Request,
    ledger: &(impl Ledger + ListRestores),
    files: &impl WorkFiles,
) -> Response {
    let [all, one, objects] = ROUTES;
    let answer = match request.route_key.as_str() {
        route if route == all => get_restores(request, ledger).await,
        route if route == one => get_restore(request, ledger, files).await,
        route if route == objects => get_objects(request, ledger, files).await,
        route => Err(Problem::no_such_route(route).into()),
    };
    answer.into()
}

async fn get_restores(request: &http::Request, ledger: &impl ListRestores) -> Result<Response, StepError> {
    request.expect_queries(&["status", "cursor"])?;
    let status = word(request, "status", &Status::ALL.map(|status| (status.word(), status)))?;
    let after = request.query("cursor").map(read_cursor).transpose()?;
    let (records, end) = ledger.restores(status, after.as_ref(), PAGE).await?;
    let page = RestorePage {
        restores: records.into_iter().map(RestoreSummary::of).collect(),
        next_cursor: end.as_ref().map(write_cursor),
    };
    Ok(Response::json(200, &page))
}

async fn get_restore(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
) -> Result<Response, StepError> {
    request.expect_queries(&[])?;
    let record = known(request, ledger).await?;
    let response = Response::json(200, &view(&record, ledger, files).await?);
    Ok(match record.status {
        Status::Running => response.with("retry-after", RETRY_RUNNING_SECONDS),
        Status::Succeeded | Status::PartlyFailed | Status::Failed | Status::Cancelled => response,
    })
}

async fn get_objects(
    request: &http::Request,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
) -> Result<Response, StepError> {
    request.expect_queries(&["state", "cursor"])?;
    let state = word(request, "state", &ObjectState::ALL.map(|state| (state.word(), state)))?;
    let record = known(request, ledger).await?;
    let chunks = record.plan.as_ref().map_or(0, |plan| plan.chunks);
    let chunk = match request.query("cursor") {
        None => 0,
        Some(cursor) => match cursor.parse() {
            Ok(chunk) if chunk < chunks => chunk,
            Ok(_) | Err(_) => return Err(bad_cursor(cursor).into()),
        },
    };
    // There are no objects to show until they are planned.
    let rows = if chunk < chunks { ledger::rows_of_chunk(ledger, files, &record, chunk).await? } else { Vec::new() };
    let mut rows: Vec<Row> = rows.into_iter().map(|row| shown(&record, row)).collect();
    rows.retain(|row| state.is_none_or(|state| ObjectState::of(&row.state) == state));
    rows.sort_by(|one, other| one.object.cmp(&other.object));
    let batches = batches(&rows, ledger).await?;
    let page = ObjectPage {
        objects: rows.iter().map(|row| ObjectView::of(row, &batches)).collect(),
        next_cursor: (chunk + 1 < chunks).then(|| (chunk + 1).to_string()),
    };
    Ok(Response::json(200, &page))
}

/// The restore that the path names.
pub(crate) async fn known(request: &http::Request, ledger: &impl Ledger) -> Result<RestoreRecord, StepError> {
    let id = request.restore_id()?;
    let found = ledger.get(&RestoreRecord::key_of(&id)).await?;
    found.ok_or_else(|| Problem::no_such_restore(id.as_str()).into())
}

/// The restore as it stands now, counted from its rows.
pub(crate) async fn view(
    record: &RestoreRecord,
    ledger: &impl Ledger,
    files: &impl WorkFiles,
) -> Result<RestoreView, StepError> {
    let rows = ledger::rows(ledger, files, record).await?;
    let mut rows: Vec<Row> = rows.into_iter().map(|row| shown(record, row)).collect();
    rows.sort_by(|one, other| one.object.cmp(&other.object));
    let batches = batches(&rows, ledger).await?;
    Ok(RestoreView::of(record, &rows, &batches))
}

/// The batches that claimed these rows, oldest first.
async fn batches(rows: &[Row], ledger: &impl Ledger) -> Result<Vec<Batch>, StepError> {
    let keys: Vec<_> = claims(rows).into_iter().map(batch_key).collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut batches: Vec<Batch> = ledger.get_many(&keys).await?;
    batches.sort_by(|one, other| (one.created_at, one.id.as_str()).cmp(&(other.created_at, other.id.as_str())));
    Ok(batches)
}

/// A query parameter that must be one of these words.
fn word<T: Copy>(request: &http::Request, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
    let Some(value) = request.query(name) else { return Ok(None) };
    words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        Problem::field(name, &Value::from(value), format!("must be one of {}.", words.join(", ")))
    })
}

/// A cursor as text: `2026-11-22T10:00:00Z~<id>`, which no browser and no shell needs to quote.
fn write_cursor(cursor: &Cursor) -> String {
    format!("{}~{}", cursor.requested_at, cursor.id)
}

fn read_cursor(text: &str) -> Result<Cursor, Problem> {
    let parts = text.split_once('~').and_then(|(requested_at, id)| {
        let requested_at: Timestamp = requested_at.parse().ok()?;
        Some(Cursor { requested_at, id: RestoreId::try_from(id.to_owned()).ok()? })
    });
    parts.ok_or_else(|| bad_cursor(text))
}

fn bad_cursor(text: &str) -> Problem {
    Problem::field("cursor", &Value::from(text), "must be the next_cursor of the page before. Leave it out for the first page.")
}
