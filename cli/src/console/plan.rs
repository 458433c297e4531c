//! A plan, and the question about its price.

use maud::{Markup, html};
use serde_json::{Map, Value, json};
use thaw_core::{Tier, Usd, quantity};

use crate::answers::{Plan, Restore};
use crate::api;
use crate::commands::follow_up::{self, FollowUp};
use crate::commands::restore::random_key;
use crate::console::follow_ups;
use crate::console::form::Form;
use crate::console::page::{Frame, Mode, Page, problem};
use crate::console::restore::cost_table;
use crate::console::upstream::{Call, Upstream};
use crate::console::words::number;
use crate::context::restore_path;
use crate::error::Error;
use crate::output::{printable, size, times};

/// What the question about a new restore sends if the answer is yes.
#[derive(Debug, serde::Deserialize)]
pub struct Agreed {
    #[serde(flatten)]
    pub form: Form,
    /// The hash of the plan that was shown.
    pub confirm: String,
    /// A second click starts nothing new.
    pub idempotency_key: String,
}

/// What the question about another restore's objects sends.
#[derive(Debug, serde::Deserialize)]
pub struct AgreedFollowUp {
    /// The price that was shown.
    pub price: String,
    pub idempotency_key: String,
    #[serde(default)]
    pub days: Option<String>,
}

/// Plans the request of a form.
pub async fn page(form: &Form, frame: &Frame, upstream: &Upstream) -> Page {
    let planned = async {
        let body = Value::from(form.request()?);
        look_up(body, upstream).await
    };
    match planned.await {
        Ok(plan) => shown(&plan, form, frame),
        Err(error) => form.page(Some(&error), frame.mode),
    }
}

async fn look_up(body: Value, upstream: &Upstream) -> Result<Plan, Error> {
    let call = Call::Post { path: "/v1/plans".to_owned(), body, idempotency_key: None };
    api::read(&upstream.look_up(call).await?)
}

/// Starts exactly what was shown.
pub async fn start(agreed: &Agreed, upstream: &Upstream) -> Result<String, Error> {
    let mut body = agreed.form.request()?;
    body.insert("confirm".to_owned(), json!(agreed.confirm));
    started("/v1/restores".to_owned(), body, &agreed.idempotency_key, upstream).await
}

async fn started(path: String, body: Map<String, Value>, key: &str, upstream: &Upstream) -> Result<String, Error> {
    let answer = upstream.call(Call::Post { path, body: body.into(), idempotency_key: Some(key.to_owned()) }).await?;
    Ok(api::read::<Restore>(&answer)?.id)
}

/// Plans a restore of another restore's objects.
pub async fn follow_up_page(
    follow_up: FollowUp,
    id: &str,
    days: Option<&str>,
    frame: &Frame,
    upstream: &Upstream,
) -> Page {
    let planned = async {
        let changes = follow_ups::changes(follow_up, days)?;
        let other: Restore = api::read(&upstream.look_up(Call::Get { path: restore_path(id)? }).await?)?;
        look_up(follow_up::plan_request(follow_up, &other, &changes), upstream).await
    };
    let plan = match planned.await {
        Ok(plan) => plan,
        Err(error) => return Page::error(&error),
    };
    let question = html! {
        form.question method="post" action={ "/restores/" (id) "/" (follow_up.call()) } {
            input type="hidden" name="price" value=(plan.cost.total_usd.as_f64().to_string());
            input type="hidden" name="idempotency_key" value=(random_key());
            @if let Some(days) = days { input type="hidden" name="days" value=(days); }
            (ask(follow_up.verb(), &plan))
        }
    };
    let main = html! {
        p.path { a href="/" { "Restores" } " / " a href={ "/restores/" (id) } { (id) } " / " }
        h1 { (follow_up.verb()) " objects" }
        (content(&plan, frame))
        @match frame.mode { Mode::Changes => (question), Mode::ReadOnly => (read_only()) }
    };
    Page::still("Plan", main)
}

/// Starts the restore of another restore's objects, for no more than the price that was shown.
pub async fn start_follow_up(
    follow_up: FollowUp,
    id: &str,
    agreed: &AgreedFollowUp,
    upstream: &Upstream,
) -> Result<String, Error> {
    let mut body = follow_ups::changes(follow_up, agreed.days.as_deref())?;
    let price = agreed.price.parse().ok().and_then(Usd::from_f64);
    let price = price.ok_or_else(|| Error::Usage("The price that was shown is missing. Plan it again.".to_owned()))?;
    body.insert("max_cost_usd".to_owned(), json!(price));
    started(format!("{}/{}", restore_path(id)?, follow_up.call()), body, &agreed.idempotency_key, upstream).await
}

fn shown(plan: &Plan, form: &Form, frame: &Frame) -> Page {
    let question = html! {
        form.question method="post" action="/restores" {
            (form.hidden(form.tier))
            input type="hidden" name="confirm" value=(plan.hash);
            input type="hidden" name="idempotency_key" value=(random_key());
            (ask("Restore", plan))
        }
    };
    let main = html! {
        h1 { "Plan" }
        (content(plan, frame))
        (alternatives(plan, form, frame))
        @if plan.over_max_cost {
            p.problem role="alert" { "Refused: it costs $" (plan.cost.total_usd.to_string()) @if let Some(limit) = plan.max_cost_usd { ", more than your limit of $" (limit.to_string()) } ". Nothing was started." }
        } @else {
            @match frame.mode { Mode::Changes => (question), Mode::ReadOnly => (read_only()) }
        }
        form method="post" action="/new" { (form.hidden(form.tier)) button { "Change the request" } }
    };
    Page::still("Plan", main)
}

/// The form again, with the reason why nothing was started.
pub fn not_started(form: &Form, error: &Error) -> Page {
    let main = html! {
        h1 { "Nothing was started" }
        (problem(error))
        div.actions {
            form method="post" action="/plan" { (form.hidden(form.tier)) button.main { "Plan it again" } }
            form method="post" action="/new" { (form.hidden(form.tier)) button { "Change the request" } }
        }
    };
    let status = match error {
        Error::NoAnswer(_) | Error::Failed(_) | Error::Interrupted(_) => 502,
        Error::Usage(_) | Error::Problem(_) | Error::Refused(_) => 422,
    };
    Page { status, ..Page::still("Nothing was started", main) }
}

fn ask(verb: &str, plan: &Plan) -> Markup {
    let objects = quantity(plan.counts.total - plan.counts.failed, "object", "objects");
    let price = plan.cost.total_usd.to_string();
    html! {
        p.ask { (verb) " " (objects) " for " strong { "$" (price) } "?" }
        p.note { "Exactly this plan is started. If it is another one by then, nothing is." }
        p.answers { button #start .main { "Yes, start it" } a href="/" { "No" } }
    }
}

fn read_only() -> Markup {
    html! { p.note { "This console is read-only, so it only plans. To start it here, run thaw console with --allow-changes." } }
}

fn content(plan: &Plan, frame: &Frame) -> Markup {
    let counts = plan.counts;
    let left = counts.total - counts.planned - counts.failed;
    html! {
        p.lead {
            (number(counts.total)) @if counts.total == 1 { " object of " } @else { " objects of " } (plan.bucket)
            @if plan.publish_only {
                ": " (number(left)) " to invalidate; S3 is asked for nothing"
            } @else {
                ", " (plan.tier.as_str()) ", copies for " (quantity(u64::from(plan.days), "day", "days")) ": " (number(counts.planned)) " to restore"
                @if left > 0 { ", " (number(left)) " left as they are" }
            }
            @if counts.failed > 0 { ", " (number(counts.failed)) " impossible" }
            "."
        }
        @if let Some(ready) = plan.ready_between { p { "Typically readable " strong { (times(ready, &frame.zone)) } "." } }
        @if !plan.by_kind.is_empty() { ul { @for kind in &plan.by_kind { li { (number(kind.objects)) " in " (kind.kind.name()) ", " (size(kind.bytes)) } } } }
        (cost_table(&plan.cost))
        p { (number(plan.paths)) @if plan.paths == 1 { " path" } @else { " paths" } " to invalidate" @if plan.billed_paths != plan.paths { ", " (number(plan.billed_paths)) " of them billed" } "." }
        @if !plan.failures.is_empty() {
            h2 { "Impossible" }
            ul { @for failure in &plan.failures { li { span.key { (printable(&failure.key)) } ": " (printable(&failure.message)) } } }
        }
        @if !plan.warnings.is_empty() { h2 { "Warnings" } ul { @for warning in &plan.warnings { li { (printable(warning)) } } } }
    }
}

fn alternatives(plan: &Plan, form: &Form, frame: &Frame) -> Markup {
    if plan.alternatives.is_empty() {
        return html! {};
    }
    html! {
        h2 { "Other tiers" }
        div.wide { table {
            thead { tr { th { "Tier" } th.number { "USD" } th { "Typically readable" } th.number { span.hidden { "Plan it" } } } }
            tbody { @for other in &plan.alternatives { tr {
                td { (other.tier.as_str()) @if other.batch_operations { ", by S3 Batch Operations" } }
                td.number data-label="USD" { "$" (other.total_usd.to_string()) }
                td.time data-label="typically readable" { (times(other.ready_between, &frame.zone)) }
                td.number { (at_tier(form, other.tier)) }
            } } }
        } }
    }
}

fn at_tier(form: &Form, tier: Tier) -> Markup {
    html! { form method="post" action="/plan" { (form.hidden(tier)) button { "Plan at " (tier.as_str()) } } }
}
