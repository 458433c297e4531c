//! `GET /v1/restores`, `GET /v1/restores/{id}`, `GET /v1/restores/{id}/objects`: the state of restores and their
//! objects, from the ledger.

use jiff::Timestamp;
use serde_json::Value;
use thaw_core::{Problem, RestoreId, Row, Status};

use crate::StepError;
use crate::api::http::{self, Response};
use crate::api::named_restore;
use crate::ledger::chunks;
use crate::ledger::progress::{claims, shown};
use crate::ledger::restores::{ListRestores, RestoreCursor};
use crate::ledger::rows::batches_of;
use crate::ports::{Ledger, WorkFiles};
use crate::views::object_view::{ObjectPage, ObjectState, ObjectView};
use crate::views::restore_view::{RETRY_RUNNING_SECONDS, RestorePage, RestoreSummary, RestoreView};

/// Restores on a page, unless `limit` says otherwise.
const RESTORES_ON_A_PAGE: usize = 50;

/// The most restores on a page. Their items have at most a few kilobytes each, so a page is one DynamoDB query.
const MAX_RESTORES_ON_A_PAGE: usize = 100;

/// Objects on a page, unless `limit` says fewer: the rows of ten reads of the ledger.
const OBJECTS_ON_A_PAGE: usize = 1_000;

/// The routes of this function, as in the template.
pub const ROUTES: [&str; 3] = ["GET /v1/restores", "GET /v1/restores/{id}", "GET /v1/restores/{id}/objects"];

/// Answers a request about restores. Changes nothing.
pub async fn run(request: &http::Request, ledger: &(impl Ledger + ListRestores), files: &impl WorkFiles) -> Response {
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
    request.expect_queries(&["status", "limit", "cursor"])?;
    let status = word(request, "status", &Status::ALL.map(|status| (status.as_str(), status)))?;
    let after = request.text_query("cursor").map(read_cursor).transpose()?;
    let limit = limit(request, MAX_RESTORES_ON_A_PAGE)?.unwrap_or(RESTORES_ON_A_PAGE);
    let (records, end) = ledger.restores(status, after.as_ref(), limit).await?;
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
    let record = named_restore(request, ledger).await?;
    let response = Response::json(200, &RestoreView::read(&record, ledger, files).await?);
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
    request.expect_queries(&["state", "limit", "cursor"])?;
    let limit = limit(request, OBJECTS_ON_A_PAGE)?.unwrap_or(OBJECTS_ON_A_PAGE);
    let state = word(request, "state", &ObjectState::ALL.map(|state| (state.as_str(), state)))?;
    let record = named_restore(request, ledger).await?;
    let Some(plan) = &record.plan else {
        // There are no objects before the restore is planned.
        if let Some(cursor) = request.text_query("cursor") {
            return Err(bad_cursor(cursor).into());
        }
        return Ok(Response::json(200, &ObjectPage { objects: Vec::new(), next_cursor: None }));
    };
    let (chunk, from) = match request.text_query("cursor") {
        None => (0, 0),
        Some(cursor) => {
            read_place(cursor).filter(|(chunk, _)| *chunk < plan.chunks).ok_or_else(|| bad_cursor(cursor))?
        }
    };
    let chunk_record = chunks::record(ledger, &record, chunk).await?;
    let entries = chunks::entries(files, &record, &chunk_record).await?;
    if from > 0 && from >= entries.len() {
        return Err(bad_cursor(request.text_query("cursor").unwrap_or_default()).into());
    }
    let to = entries.len().min(from + limit);
    let next = if to < entries.len() {
        Some(format!("{chunk}.{to}"))
    } else {
        (chunk + 1 < plan.chunks).then(|| format!("{}.0", chunk + 1))
    };
    let page = entries[from..to].iter().zip(u32::try_from(from).unwrap_or(u32::MAX)..);
    let objects = chunks::objects_of(ledger, &record, &chunk_record, page).await?;
    let rows = objects.into_iter().map(|object| object.row);
    let mut rows: Vec<Row> = rows.map(|row| shown(&record, row)).collect();
    rows.retain(|row| state.is_none_or(|state| ObjectState::of(&row.state) == state));
    rows.sort_by(|one, other| one.object.cmp(&other.object));
    let batches = batches_of(claims(&rows), &rows, ledger).await?;
    let page =
        ObjectPage { objects: rows.iter().map(|row| ObjectView::of(row, &batches)).collect(), next_cursor: next };
    Ok(Response::json(200, &page))
}

/// Parses a cursor of the list of objects: a chunk, and an object in it.
fn read_place(cursor: &str) -> Option<(u32, usize)> {
    let (chunk, object) = cursor.split_once('.')?;
    Some((chunk.parse().ok()?, object.parse().ok()?))
}

/// The query parameter `limit`: 1 to `most` items on a page.
fn limit(request: &http::Request, most: usize) -> Result<Option<usize>, Problem> {
    let Some(value) = request.query("limit") else { return Ok(None) };
    let limit = value.parse().ok().filter(|limit| (1..=most).contains(limit));
    let why = format!("must be a number from 1 to {most}: how many items a page has at most.");
    limit.map(Some).ok_or_else(|| Problem::field("limit", &Value::from(value), why))
}

/// A query parameter that must be one of these words.
fn word<T: Copy>(request: &http::Request, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
    let Some(value) = request.query(name) else { return Ok(None) };
    words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
        let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        Problem::field(name, &Value::from(value), format!("must be one of {}.", words.join(", ")))
    })
}

/// The text of a cursor, `2026-11-22T10:00:00Z~<id>`. Neither browsers nor shells need to quote it.
fn write_cursor(cursor: &RestoreCursor) -> String {
    format!("{}~{}", cursor.requested_at, cursor.id)
}

fn read_cursor(text: &str) -> Result<RestoreCursor, Problem> {
    let parts = text.split_once('~').and_then(|(requested_at, id)| {
        let requested_at: Timestamp = requested_at.parse().ok()?;
        Some(RestoreCursor { requested_at, id: RestoreId::try_from(id.to_owned()).ok()? })
    });
    parts.ok_or_else(|| bad_cursor(text))
}

fn bad_cursor(text: &str) -> Problem {
    Problem::field(
        "cursor",
        &Value::from(text),
        "must be the next_cursor of the page before. Leave it out for the first page.",
    )
}

#[cfg(test)]
mod tests;
