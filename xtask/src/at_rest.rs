//! `cargo xtask cost-at-rest`: what the stack costs in a month in which nothing is restored, from the template.

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use thaw_core::{Overhead, PriceList, Usd};

use crate::deploy::parameters::{Parameters, Setting};
use crate::template::{self, Template, text};

/// What `cost-at-rest` can be told.
#[derive(Args, Clone, Debug)]
#[group(skip)]
pub struct Options {
    /// A parameter of the stack, as for `deploy` [repeat it for several]
    #[arg(long = "set", value_name = "NAME=VALUE")]
    set: Vec<Setting>,
}

/// The month that is counted.
const DAYS: u64 = 30;

/// Lambda polls a quiet queue with up to five receivers (Lambda Developer Guide, "Configuring scaling behavior for SQS event
/// source mappings": "Lambda starts processing five batches at a time"; it "can optimize to as few as 2", except with a maximum
/// concurrency, which every mapping of the template has).
const POLLERS: u64 = 5;

/// How long one receive waits for a message: the most that SQS allows (`WaitTimeSeconds`).
const POLL_SECONDS: u64 = 20;

/// What a scheduled call takes at rest, generously: a start and one query of the ledger that finds nothing.
const CALL_MS: u64 = 1_000;
const CALL_READS: u64 = 2;

/// What each account gets free every month, without an end. From second-hand pages of 2026; the services' own price pages were
/// not read.
const FREE_ALARMS: u64 = 10;
const FREE_DASHBOARDS: u64 = 3;
const FREE_QUEUE_REQUESTS: u64 = 1_000_000;
const FREE_LAMBDA_REQUESTS: u64 = 1_000_000;
const FREE_LAMBDA_MB_MS: u64 = 400_000 * 1_024 * 1_000;

/// One line of the bill.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    what: &'static str,
    amount: String,
    free: String,
    /// Where the account uses nothing else of the kind.
    usd: Usd,
    /// Where others have used up what is free.
    usd_without_free: Usd,
}

/// The bill of a month at rest, without storage.
#[derive(Debug, PartialEq, Eq)]
pub struct Bill {
    lines: Vec<Line>,
}

/// Prints the bill of the template with these parameters.
pub fn run(options: &Options) -> Result<()> {
    // The names of buckets change no price.
    let unnamed = [(String::from("ArchiveBuckets"), String::from("my-archive"))].into();
    let parameters = Parameters::decide(&Template::load(), &options.set, "my-code", &unnamed)?;
    for line in Bill::of(&parameters.rendered(template::TEXT)?)?.words() {
        println!("{line}");
    }
    Ok(())
}

impl Bill {
    /// Fails on a type of resource of which nobody has said yet what it costs at rest, and on one that is set up to cost
    /// something that is not counted.
    pub fn of(template: &Template) -> Result<Self> {
        let prices = PriceList::US_EAST_1;
        for (id, kind) in template.kinds() {
            is_known(&kind).with_context(|| id.clone())?;
        }
        for (id, table) in template.resources("AWS::DynamoDB::Table") {
            ensure!(
                table["BillingMode"] == "PAY_PER_REQUEST",
                "{id} has provisioned capacity, which costs money at rest"
            );
        }

        let alarms = template.resources("AWS::CloudWatch::Alarm");
        for (id, alarm) in &alarms {
            ensure!(alarm["MetricName"].is_string(), "{id} watches several metrics, and each is charged");
        }
        let alarms = alarms.len() as u64;
        let dashboards = template.resources("AWS::CloudWatch::Dashboard").len() as u64;

        let mappings = template.resources("AWS::Lambda::EventSourceMapping");
        let all = mappings.len();
        let mappings: Vec<_> = mappings.into_values().filter(|mapping| mapping["Enabled"] != false).collect();
        ensure!(
            mappings.iter().all(|mapping| mapping["ProvisionedPollerConfig"].is_null()),
            "provisioned pollers cost money at rest"
        );
        let polls = mappings.len() as u64 * POLLERS * DAYS * 86_400 / POLL_SECONDS;
        let receives = |requests| prices.overhead(Overhead { queue_requests: requests, ..Overhead::default() });

        let functions = template.resources("AWS::Lambda::Function");
        let (mut calls, mut mb_ms) = (0, 0);
        for (id, rule) in template.resources("AWS::Events::Rule") {
            let Some(schedule) = rule["ScheduleExpression"].as_str() else { continue };
            let function = text(&rule["Targets"][0]["Arn"]);
            let function = functions.get(function.trim_matches(['{', '}']).trim_end_matches(".Arn"));
            let memory = function.and_then(|function| function["MemorySize"].as_u64());
            let memory = memory.with_context(|| format!("{id} calls no function of the template"))?;
            let runs = DAYS * a_day(schedule).with_context(|| format!("the schedule of {id}"))?;
            calls += runs;
            mb_ms += runs * memory * CALL_MS;
        }
        let called = |requests: u64, mb_ms: u64| {
            prices.overhead(Overhead { lambda_requests: requests, lambda_mb_ms: mb_ms, ..Overhead::default() })
        };
        let reads = calls * CALL_READS;
        let read = prices.overhead(Overhead { ledger_reads: reads, ..Overhead::default() });

        let lines = vec![
            Line {
                what: "alarms",
                amount: alarms.to_string(),
                free: FREE_ALARMS.to_string(),
                usd: prices.alarms(alarms.saturating_sub(FREE_ALARMS)),
                usd_without_free: prices.alarms(alarms),
            },
            Line {
                what: "dashboards",
                amount: dashboards.to_string(),
                free: FREE_DASHBOARDS.to_string(),
                usd: prices.dashboards(dashboards.saturating_sub(FREE_DASHBOARDS)),
                usd_without_free: prices.dashboards(dashboards),
            },
            Line {
                what: "receives of queues",
                amount: format!("{} by {} of {all} mappings", grouped(polls), mappings.len()),
                free: grouped(FREE_QUEUE_REQUESTS),
                usd: receives(polls.saturating_sub(FREE_QUEUE_REQUESTS)),
                usd_without_free: receives(polls),
            },
            Line {
                what: "scheduled calls",
                amount: grouped(calls),
                free: format!("{}, 400,000 GB-s", grouped(FREE_LAMBDA_REQUESTS)),
                usd: called(calls.saturating_sub(FREE_LAMBDA_REQUESTS), mb_ms.saturating_sub(FREE_LAMBDA_MB_MS)),
                usd_without_free: called(calls, mb_ms),
            },
            Line {
                what: "their reads of the ledger",
                amount: grouped(reads),
                free: "none".into(),
                usd: read,
                usd_without_free: read,
            },
        ];
        Ok(Self { lines })
    }

    /// Where the account uses nothing else of what is free.
    pub fn total(&self) -> Usd {
        self.lines.iter().map(|line| line.usd).sum()
    }

    /// The bill as a table.
    pub fn words(&self) -> Vec<String> {
        let prices = PriceList::US_EAST_1;
        let row = |what: &str, amount: &str, free: &str, usd: &str, without: &str| {
            format!("{what:<26} {amount:<34} {free:<24} {usd:<11} {without}")
        };
        let mut lines =
            vec![row("AT REST, A MONTH", "AMOUNT", "FREE IN EACH ACCOUNT", "USD", "USD WITHOUT WHAT IS FREE")];
        for Line { what, amount, free, usd, usd_without_free } in &self.lines {
            lines.push(row(what, amount, free, &format!("${usd}"), &format!("${usd_without_free}")));
        }
        let of = format!("prices of {}, {}", prices.region, prices.read);
        let without: Usd = self.lines.iter().map(|line| line.usd_without_free).sum();
        lines.push(row("total without storage", &of, "", &format!("${}", self.total()), &format!("${without}")));
        lines.push("All other resources cost nothing while nobody uses them.".to_owned());
        lines.push(
            "Storage, a GB and month: ledger $0.25 (25 GB free) and its recovery copies $0.20, work bucket and code bucket $0.023, \
             logs $0.03 (5 GB free)."
                .to_owned(),
        );
        lines
    }
}

/// Fails on a type of resource of which nobody has said yet what it costs at rest.
fn is_known(kind: &str) -> Result<()> {
    match kind {
        // Counted above.
        "AWS::CloudWatch::Alarm" | "AWS::CloudWatch::Dashboard" | "AWS::Lambda::EventSourceMapping" => Ok(()),
        // Storage.
        "AWS::DynamoDB::Table" | "AWS::Logs::LogGroup" | "AWS::S3::Bucket" => Ok(()),
        // They cost nothing while nobody uses them.
        "AWS::ApiGatewayV2::Api"
        | "AWS::ApiGatewayV2::Integration"
        | "AWS::ApiGatewayV2::Route"
        | "AWS::ApiGatewayV2::Stage"
        | "AWS::Events::Rule"
        | "AWS::IAM::ManagedPolicy"
        | "AWS::IAM::Role"
        | "AWS::Lambda::EventInvokeConfig"
        | "AWS::Lambda::Function"
        | "AWS::Lambda::Permission"
        | "AWS::Lambda::Version"
        | "AWS::S3::BucketPolicy"
        | "AWS::SNS::Subscription"
        | "AWS::SNS::Topic"
        | "AWS::SNS::TopicPolicy"
        | "AWS::SQS::Queue"
        | "AWS::SQS::QueuePolicy"
        | "AWS::StepFunctions::StateMachine" => Ok(()),
        custom if custom.starts_with("Custom::") => Ok(()),
        unknown => {
            bail!("nobody has said what a resource of type {unknown} costs at rest; say it in xtask/src/at_rest.rs")
        }
    }
}

/// How often a day a schedule of EventBridge calls its target. Knows minutes and hours as numbers, steps and `*`.
fn a_day(schedule: &str) -> Result<u64> {
    let fields = schedule.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')'));
    let fields: Vec<&str> = fields.context("it is no cron expression")?.split(' ').collect();
    let [minutes, hours, days, "*", weekdays, "*"] = fields.as_slice() else {
        bail!("{schedule} is not for every day")
    };
    ensure!([*days, *weekdays].iter().all(|field| ["*", "?"].contains(field)), "{schedule} is not for every day");
    let times = |field: &str, of: u64| -> Result<u64> {
        match field.split_once('/') {
            Some((first, step)) => {
                let first = if first == "*" { 0 } else { first.parse()? };
                Ok(of.saturating_sub(first).div_ceil(step.parse()?))
            }
            None if field == "*" => Ok(of),
            None => field.parse::<u64>().map(|_| 1).context(field.to_owned()),
        }
    };
    Ok(times(minutes, 60)? * times(hours, 24)?)
}

/// A number with commas after its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut parts: Vec<&str> = digits.as_bytes().rchunks(3).filter_map(|part| std::str::from_utf8(part).ok()).collect();
    parts.reverse();
    parts.join(",")
}

/// The amounts by which the documents are checked.
#[cfg(test)]
impl Bill {
    fn amount(&self, what: &str) -> &str {
        self.lines.iter().find(|line| line.what == what).map_or("", |line| line.amount.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn bill(parameters: &[(&str, &str)]) -> Bill {
        let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, json!(value))).collect();
        Bill::of(&Template::with(&parameters)).unwrap()
    }

    /// The figures of the guide, and what may not grow unnoticed.
    #[test]
    fn nothing_but_polling_costs_anything_and_a_parameter_stops_it() {
        let (whole, not_joining, deaf) =
            (bill(&[]), bill(&[("JoinedMaxCostUsd", "0")]), bill(&[("EventRules", "DISABLED")]));
        assert_eq!(whole.amount("receives of queues"), "2,592,000 by 4 of 4 mappings");
        assert_eq!(not_joining.amount("receives of queues"), "1,944,000 by 3 of 4 mappings");
        assert_eq!(deaf.amount("receives of queues"), "648,000 by 1 of 4 mappings");
        assert_eq!([&whole, &not_joining, &deaf].map(|bill| bill.total().to_string()), ["0.64", "0.38", "0.00006"]);
        let beside_polling = whole.lines.iter().filter(|line| line.what != "receives of queues").map(|line| line.usd);
        assert!(beside_polling.sum::<Usd>() < Usd::from_f64(0.01).unwrap());
    }

    #[test]
    fn the_guide_has_the_bill_as_it_is_printed() {
        let guide = include_str!("../../infra/README.md");
        assert!(guide.contains(&bill(&[]).words().join("\n")), "print it again: cargo xtask cost-at-rest");
    }

    /// Where other things have used up what is free, each alarm and each poll costs.
    #[test]
    fn what_is_free_is_counted_once() {
        let bill = bill(&[]);
        let alarms = bill.lines.iter().find(|line| line.what == "alarms").unwrap();
        assert_eq!((alarms.usd, alarms.usd_without_free), (Usd::default(), Usd::from_f64(1.0).unwrap()));
        assert_eq!(alarms.amount, "10");
    }

    #[test]
    fn what_costs_money_in_a_way_that_is_not_counted_is_refused() {
        let refused = |from: &str, to: &str| {
            let text = template::TEXT.replacen(from, to, 1);
            assert_ne!(text, template::TEXT, "the template has no {from}");
            format!("{:#}", Bill::of(&Template::of(&text, &[])).unwrap_err())
        };
        assert!(refused("PAY_PER_REQUEST", "PROVISIONED").contains("Ledger has provisioned capacity"));
        assert!(refused("AWS::SNS::Topic\n", "AWS::KMS::Key\n").contains("AWS::KMS::Key"));
        assert!(refused("cron(15 0/6 * * ? *)", "rate(1 minute)").contains("the schedule of AnnounceExpiriesRule"));
        let mapping = "      EventSourceArn: !GetAtt InboxFileQueue.Arn\n";
        let provisioned = format!("{mapping}      ProvisionedPollerConfig: {{MinimumPollers: 2}}\n");
        assert!(refused(mapping, &provisioned).contains("provisioned pollers"));
    }

    #[test]
    fn schedules_are_counted() {
        for (schedule, times) in [
            ("cron(15 0/6 * * ? *)", 4),
            ("cron(0 3 * * ? *)", 1),
            ("cron(0/5 * * * ? *)", 288),
            ("cron(*/20 1 ? * * *)", 3),
        ] {
            assert_eq!(a_day(schedule).unwrap(), times, "{schedule}");
        }
        for unknown in ["rate(1 hour)", "cron(0 3 1 * ? *)", "cron(0 3 * * MON *)", "cron(x 3 * * ? *)"] {
            assert!(a_day(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn numbers_have_commas() {
        let numbers = [0, 999, 1_000, 12_345, 2_592_000].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "12,345", "2,592,000"]);
    }

    #[test]
    fn a_type_without_a_price_is_refused() {
        let refused = is_known("AWS::KMS::Key").unwrap_err().to_string();
        assert!(refused.contains("AWS::KMS::Key"), "{refused}");
        assert!(is_known("Custom::Preflight").is_ok());
    }
}
