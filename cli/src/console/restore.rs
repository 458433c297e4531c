//! One restore: how it stands, its life as a picture, its price, what failed, and until when viewers get the objects.

use jiff::Timestamp;
use maud::{Markup, html};
use thaw_core::{Cost, Counts, Status, quantity};

use crate::answers::{Invalidation, Object, ObjectPage, Restore};
use crate::api;
use crate::commands::follow_up::FollowUp;
use crate::console::list::badge;
use crate::console::page::{Frame, Mode, Page, problem};
use crate::console::states::ObjectState;
use crate::console::timeline::timeline;
use crate::console::upstream::Upstream;
use crate::console::words::{length, number, time_from};
use crate::console::{failures, follow_ups, picture};
use crate::context::restore_path;
use crate::error::Error;
use crate::output::{printable, size, time, times};

/// Objects whose changes are shown in the picture: a page of the API.
const IN_THE_PICTURE: usize = 1_000;

/// The page of a restore. `error` is what was wrong with what was asked for on it.
pub async fn page(id: &str, error: Option<&Error>, frame: &Frame, upstream: &Upstream) -> Page {
    let path = match restore_path(id) {
        Ok(path) => path,
        Err(error) => return Page { status: 404, ..Page::error(&error) },
    };
    let polled = upstream.poll(&path).await;
    let restore = match polled.json() {
        Ok(answer) => match api::read::<Restore>(answer) {
            Ok(restore) => restore,
            Err(error) => return Page::error(&error),
        },
        // A connection may come back; a restore that is not there does not.
        Err(error @ (Error::NoAnswer(_) | Error::Failed(_))) => {
            return Page { next: Some(polled.good_for(Timestamp::now())), ..Page::error(error) };
        }
        Err(error @ (Error::Usage(_) | Error::Problem(_) | Error::Refused(_) | Error::Interrupted(_))) => {
            return Page::error(error);
        }
    };
    let objects = changed_objects(&path, &restore, upstream).await;
    let now = frame.clock.at(polled.at);
    let next = (restore.status == Status::Running).then(|| polled.good_for(Timestamp::now()));
    let title = title(&restore);
    let main = html! {
        @if let Some(error) = error { (problem(error)) }
        (content(&restore, &objects, now, frame))
    };
    Page { as_of: Some(polled.at), next, ..Page::still(&title, main) }
}

/// The first objects, asked for again only if the counts have changed. Without them the picture has one lane less.
async fn changed_objects(path: &str, restore: &Restore, upstream: &Upstream) -> Vec<Object> {
    let counts = restore.counts;
    if counts.published + counts.restored + counts.failed == 0 {
        return Vec::new();
    }
    let polled =
        upstream.poll_if_changed(&format!("{path}/objects?limit={IN_THE_PICTURE}"), &format!("{counts:?}")).await;
    let page = polled.json().ok().and_then(|answer| api::read::<ObjectPage>(answer).ok());
    page.map(|page| page.objects).unwrap_or_default()
}

/// What a tab shows of it.
fn title(restore: &Restore) -> String {
    let Counts { total, published, .. } = restore.counts;
    match restore.status {
        Status::Running => format!("{} of {} published · {}", number(published), number(total), restore.id),
        Status::Succeeded | Status::PartlyFailed | Status::Failed | Status::Cancelled => {
            format!("{} · {}", crate::console::words::status(restore.status), restore.id)
        }
    }
}

fn content(restore: &Restore, objects: &[Object], now: Timestamp, frame: &Frame) -> Markup {
    let id = &restore.id;
    html! {
        p.path { a href="/" { "Restores" } " / " }
        h1.id { (id) }
        div #standing data-part {
            p { (badge(restore.status)) @if restore.status == Status::Running { " " span.stage { (stage(restore)) } } }
            @if let Some(says) = &restore.says { p.lead { (printable(says)) } }
        }
        div #life data-part {
            h2 { "Timeline" }
            @let life = timeline(restore, objects, now);
            (picture::life(&life, &frame.zone))
            p.note {
                @if life.windows.is_empty() { "S3 is not waited for. " } @else { "Typical times are AWS's; S3 promises none. Marks in a window are thaw's scheduled looks, in case an event gets lost. " }
                @if restore.counts.total > IN_THE_PICTURE as u64 && !life.changes.is_empty() { "The last lane has the first " (number(IN_THE_PICTURE as u64)) " objects. " }
            }
        }
        div #objects data-part { (objects_by_state(restore)) }
        div.columns {
            div #facts data-part { (facts(restore, now, frame)) }
            div #price data-part { @if let Some(cost) = &restore.cost { (price(cost, restore)) } }
        }
        div #failures data-part { (failed(restore)) }
        div #copies data-part { (copies(restore, objects, now, frame)) }
        div #invalidations data-part { (invalidations(&restore.invalidations, frame)) }
        div #warnings data-part { @if !restore.warnings.is_empty() { h2 { "Warnings" } ul { @for warning in &restore.warnings { li { (printable(warning)) } } } } }
        div #actions data-part { (actions(restore, frame.mode)) }
    }
}

fn stage(restore: &Restore) -> &'static str {
    use thaw_core::Stage;
    match restore.stage {
        Stage::Planning => "planning",
        Stage::Requesting => "asking S3",
        Stage::Waiting => "waiting for S3",
        Stage::Publishing => "waiting for CloudFront",
        Stage::Reporting => "about to end",
        Stage::Ended => "ended",
    }
}

fn objects_by_state(restore: &Restore) -> Markup {
    let (counts, id) = (restore.counts, &restore.id);
    html! {
        h2 { "Objects" }
        (picture::bar(counts))
        ul.legend {
            @for state in ObjectState::ALL {
                @let count = state.count(counts);
                @if count > 0 {
                    li {
                        span.swatch.(state.as_str()) aria-hidden="true" {}
                        a #{ "state-" (state.as_str()) } href={ "/restores/" (id) "/objects?state=" (state.as_str()) } { (number(count)) " " (state.as_str()) }
                        span.note { ": " (state.says()) }
                    }
                }
            }
        }
        p { a href={ "/restores/" (id) "/objects" } { "All " (quantity_of(counts.total)) } }
    }
}

fn quantity_of(objects: u64) -> String {
    if objects == 1 { "1 object".to_owned() } else { format!("{} objects", number(objects)) }
}

fn facts(restore: &Restore, now: Timestamp, frame: &Frame) -> Markup {
    let zone = &frame.zone;
    let is_running = restore.status == Status::Running;
    html! {
        h2 { "Request" }
        dl.facts {
            div { dt { "Bucket" } dd { (restore.bucket) } }
            @if restore.publish_only {
                div { dt { "Publishing only" } dd { "S3 is asked for nothing" } }
            } @else {
                div { dt { "Tier" } dd { (restore.tier.as_str()) @if restore.batch_operations { ", by S3 Batch Operations" } } }
                div { dt { "Copies for" } dd { (quantity(u64::from(restore.days), "day", "days")) } }
            }
            @for kind in &restore.by_kind { div { dt { "Archived" } dd { (quantity_of(kind.objects)) " in " (kind.kind.name()) ", " (size(kind.bytes)) } } }
            div { dt { "Requested" } dd { (time_from(restore.requested_at, now, zone)) } }
            @if let Some(ready) = restore.ready_between.filter(|_| is_running) { div { dt { "Typically readable" } dd { (times(ready, zone)) @if now > ready[1] { ": later than typical" } } } }
            @if let Some(at) = restore.completed_at { div { dt { "Ended" } dd { (time(at, zone)) ", after " (length(at.duration_since(restore.requested_at))) } } }
            @if let Some(at) = restore.counted_at { div { dt { "Counted" } dd { (time_from(at, now, zone)) } } }
            // A local stack has no AWS console.
            @if !frame.is_local { div { dt { "Execution" } dd { a href={ "/restores/" (restore.id) "/execution" } { "in the AWS console" } } } }
            @if let Some(paths) = restore.paths { div { dt { "Paths" } dd { (number(paths)) @if let Some(billed) = restore.billed_paths.filter(|billed| *billed != paths) { ", " (number(billed)) " of them billed" } } } }
        }
    }
}

/// A price by its lines.
pub fn price(cost: &Cost, restore: &Restore) -> Markup {
    html! {
        h2 { @if restore.problem.is_some() { "Price it would have had" } @else { "Planned price" } }
        (cost_table(cost))
    }
}

/// The lines of a price, and its sum.
pub fn cost_table(cost: &Cost) -> Markup {
    html! {
        div.wide { table.price {
            thead { tr { th { "Price" } th { "For" } th.number { "USD" } } }
            tbody { @for line in &cost.lines { tr { td { (line.what) } td { (line.amount) } td.number { "$" (line.usd.to_string()) } } } }
            tfoot { tr { th scope="row" { "Total" } td { "prices of " (cost.region) ", " (cost.prices_of) } td.number { "$" (cost.total_usd.to_string()) } } }
        } }
    }
}

fn failed(restore: &Restore) -> Markup {
    if restore.failures.is_empty() {
        return html! {};
    }
    let shown = restore.failures.len() as u64;
    html! {
        h2 { "Failures" }
        @for group in failures::by_code(&restore.failures) {
            section.failure {
                h3 { code { (format!("{:?}", group.code)) } " " span.note { (quantity(group.failures.len() as u64, "object", "objects")) } }
                p { (failures::fix(group.code)) }
                ul { @for failure in group.failures { li { span.key { (printable(&failure.key)) } ": " (printable(&failure.message)) } } }
            }
        }
        @if restore.counts.failed > shown {
            p { "These are the first " (shown) " of " (number(restore.counts.failed)) ". " a href={ "/restores/" (restore.id) "/objects?state=failed" } { "All failed objects" } }
        }
    }
}

fn copies(restore: &Restore, objects: &[Object], now: Timestamp, frame: &Frame) -> Markup {
    let Some(expire) = restore.copies_expire else { return html! {} };
    let readable = |object: &&Object| {
        matches!(ObjectState::named(&object.state), Some(ObjectState::Published | ObjectState::Restored))
    };
    let first = objects.iter().filter(readable).map(|object| object.since).min();
    let from = first.or(restore.completed_at).unwrap_or(restore.requested_at);
    let zone = &frame.zone;
    html! {
        h2 { "Copies" }
        (picture::calendar(from, expire, now, zone))
        p {
            @if expire[0] == expire[1] { "They expire " (time_from(expire[0], now, zone)) "." }
            @else { "The first expires " (time_from(expire[0], now, zone)) ", the last " (time_from(expire[1], now, zone)) "." }
            @if now < expire[1] { " From then on viewers get the error again." } @else { " Viewers get the error again." }
        }
    }
}

fn invalidations(invalidations: &[Invalidation], frame: &Frame) -> Markup {
    if invalidations.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Invalidations" }
        div.wide { table {
            thead { tr { th { "Distribution" } th { "Invalidation" } th { "Status" } th.number { "Paths" } } }
            tbody { @for one in invalidations { tr {
                td data-label="distribution" { (one.distribution) }
                td data-label="invalidation" {
                    @match &one.id {
                        Some(id) if !frame.is_local => a href={ "https://console.aws.amazon.com/cloudfront/v4/home#/distributions/" (one.distribution) "/invalidations/details/" (id) } rel="noreferrer" { (id) },
                        Some(id) => (id),
                        None => "not accepted yet",
                    }
                }
                td data-label="status" { (one.status.replace('_', " ")) @if let Some(message) = &one.message { p.says { (printable(message)) } } }
                td.number data-label="paths" { (number(one.paths)) }
            } } }
        } }
    }
}

fn actions(restore: &Restore, mode: Mode) -> Markup {
    let possible = follow_ups::possible(restore);
    let is_running = restore.status == Status::Running;
    if possible.is_empty() && !is_running {
        return html! {};
    }
    let id = &restore.id;
    html! {
        h2 { "Next" }
        @match mode {
            Mode::ReadOnly => p.note { "This console is read-only. Start it with --allow-changes to cancel restores and ask again here." },
            Mode::Changes => {
                div.actions {
                    @for follow_up in possible {
                        @let action = format!("/restores/{id}/{}", follow_up.call());
                        @match follow_up {
                            FollowUp::Retry => form action=(action) { button #retry { "Ask again for what failed…" } },
                            FollowUp::Expedite => form action=(action) { button #expedite { "Ask at Expedited…" } },
                            FollowUp::Extend => form action=(action) {
                                label { "Keep the copies for " input #days name="days" type="number" min="1" max="36500" value="30" required; " more days" } " "
                                button #extend { "Extend…" }
                            },
                        }
                    }
                    @if is_running {
                        details #cancel {
                            summary { "Cancel…" }
                            form method="post" action={ "/restores/" (id) "/cancel" } {
                                p { "thaw stops waiting and publishing. What S3 has begun goes on and is paid for." }
                                button.danger { "Cancel this restore" }
                            }
                        }
                    }
                }
            }
        }
    }
}
