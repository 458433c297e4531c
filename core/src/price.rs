//! AWS's prices, and the price of a restore before it starts: retrieval, copies, invalidation paths, jobs, and what thaw
//! itself uses.

use serde::{Deserialize, Serialize};

use crate::{ArchiveKind, Tier};

/// An amount of US dollars, exact to a billionth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = f64, minimum = 0))]
pub struct Usd(i64);

impl Usd {
    /// From billionths of a dollar.
    pub const fn nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// The largest amount, in dollars.
    pub(crate) const MOST: u32 = 1_000_000_000;

    /// From dollars; `None` if negative, not a number, or over a billion.
    ///
    /// A 64-bit float keeps every billionth of amounts under a million dollars. Larger amounts are rounded to millionths, so
    /// that an amount is the same after it was written as a number and read again.
    pub fn from_f64(usd: f64) -> Option<Self> {
        let nanos = if usd < 1e6 { (usd * 1e9).round() } else { (usd * 1e6).round() * 1e3 };
        #[expect(clippy::cast_possible_truncation, reason = "checked: 0 to 1e18 fits an i64")]
        (0.0..=f64::from(Self::MOST)).contains(&usd).then_some(Self(nanos as i64))
    }

    /// In dollars, for JSON.
    pub fn as_f64(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "amounts under a million dollars keep every billionth")]
        let nanos = self.0 as f64;
        nanos / 1e9
    }

    /// This amount minus another, at least zero.
    #[must_use]
    pub fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0).max(0))
    }

    /// The price of `count` units, if this is the price of `per` units: `Usd::nanos(50_000).times(3, 1_000)` is 3/1,000
    /// of it.
    fn times(self, count: u128, per: u128) -> Self {
        let nanos = u128::try_from(self.0).unwrap_or(0) * count / per;
        Self(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

impl std::ops::Add for Usd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl std::iter::Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self(0), |sum, amount| sum + amount)
    }
}

impl std::fmt::Display for Usd {
    /// Two decimals for zero and from 0.01 upwards; below that up to six from 0.0001 upwards, and up to nine.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = match self.0 {
            0 | 10_000_000.. => 2,
            100_000.. => 6,
            _ => 9,
        };
        let text = format!("{:.*}", digits, self.as_f64());
        f.write_str(if digits == 2 { &text } else { text.trim_end_matches('0') })
    }
}

impl Serialize for Usd {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.as_f64())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let usd = f64::deserialize(deserializer)?;
        Self::from_f64(usd).ok_or_else(|| serde::de::Error::custom("an amount of US dollars is 0 or more"))
    }
}

/// A table of AWS prices.
///
/// Prices are per 1,000 requests or per GiB unless a comment says otherwise. Sources: the public price pages of S3,
/// CloudFront, Step Functions, Lambda, DynamoDB, SQS, EventBridge and CloudWatch. The prices of Deep Archive, and of Expedited for
/// Intelligent-Tiering, come from second-hand tables and are marked in the README.
#[derive(Debug, Clone, Copy)]
pub struct PriceList {
    /// The Region of the prices.
    pub region: &'static str,
    /// When they were read from AWS's pages.
    pub read: &'static str,
}

/// A GiB, AWS's "GB".
const GIB: u128 = 1 << 30;

impl PriceList {
    /// The only price list. Prices in other Regions differ by some per cent.
    pub const US_EAST_1: Self = Self { region: "us-east-1", read: "2026-11" };

    /// Retrieval requests per 1,000, and retrieval per GiB.
    fn retrieval(self, kind: ArchiveKind, tier: Tier) -> (Usd, Usd) {
        let usd = |per_thousand, per_gib| (Usd::nanos(per_thousand), Usd::nanos(per_gib));
        match (kind, tier) {
            (ArchiveKind::Flexible | ArchiveKind::ItArchive, Tier::Expedited) => usd(10_000_000_000, 30_000_000),
            (ArchiveKind::Flexible, Tier::Standard) => usd(50_000_000, 10_000_000),
            (ArchiveKind::Flexible, Tier::Bulk) => usd(0, 0),
            (ArchiveKind::Deep, Tier::Standard) => usd(100_000_000, 20_000_000),
            (ArchiveKind::Deep, Tier::Bulk) => usd(25_000_000, 2_500_000),
            // Free except for Expedited (User Guide, "Understanding archive retrieval options").
            (ArchiveKind::ItArchive | ArchiveKind::ItDeep, Tier::Standard | Tier::Bulk) => usd(0, 0),
            // Not offered. Such objects fail in the plan.
            (ArchiveKind::Deep | ArchiveKind::ItDeep, Tier::Expedited) => usd(0, 0),
        }
    }

    /// The price of retrieving so many objects with so many bytes in total: for the requests, and for the bytes.
    pub fn retrieve(self, kind: ArchiveKind, tier: Tier, objects: u64, bytes: u64) -> (Usd, Usd) {
        let (request, gib) = self.retrieval(kind, tier);
        (request.times(u128::from(objects), 1_000), gib.times(u128::from(bytes), GIB))
    }

    /// The price of temporary copies: S3 Standard, $0.023 per GiB and month of 30 days.
    pub fn copy(self, bytes: u64, days: u32) -> Usd {
        Usd::nanos(23_000_000).times(u128::from(bytes) * u128::from(days), GIB * 30)
    }

    /// The additional storage price of objects that leave an archive tier of Intelligent-Tiering; zero for other kinds.
    ///
    /// They spend 30 days in Frequent Access, then are in Infrequent Access until S3 may archive them again: after 90
    /// days without access for Archive Access, after 180 for Deep Archive Access (S3 User Guide, "Managing S3
    /// Intelligent-Tiering"). Per GiB and month of 30 days that is $0.023 and $0.0125, instead of $0.0036 and $0.00099 in
    /// the archive tiers (S3 pricing, "Intelligent-Tiering", read 2026-11).
    pub fn tiering(self, kind: ArchiveKind, bytes: u64) -> Usd {
        let gib_month = match kind {
            ArchiveKind::ItArchive => 23_000_000 + 2 * 12_500_000 - 3 * 3_600_000,
            ArchiveKind::ItDeep => 23_000_000 + 5 * 12_500_000 - 6 * 990_000,
            ArchiveKind::Flexible | ArchiveKind::Deep => 0,
        };
        Usd::nanos(gib_month).times(u128::from(bytes), GIB)
    }

    /// The price of invalidation paths: $0.005 each, after the account's 1,000 free paths of the month.
    pub fn invalidation(self, paths: u64) -> Usd {
        Usd::nanos(5_000_000).times(u128::from(paths), 1)
    }

    /// The price of S3 Batch Operations: $0.25 per job and $1.00 per million objects (S3 pricing, "S3 Batch Operations",
    /// read 2026-11).
    pub fn jobs(self, jobs: u64, objects: u64) -> Usd {
        Usd::nanos(250_000_000).times(u128::from(jobs), 1) + Usd::nanos(1_000).times(u128::from(objects), 1)
    }

    /// The price of alarms for a month: $0.10 for each metric that an alarm of standard resolution watches (CloudWatch pricing).
    pub fn alarms(self, metrics: u64) -> Usd {
        Usd::nanos(100_000_000).times(u128::from(metrics), 1)
    }

    /// The price of dashboards for a month: $3.00 each (CloudWatch pricing).
    pub fn dashboards(self, dashboards: u64) -> Usd {
        Usd::nanos(3_000_000_000).times(u128::from(dashboards), 1)
    }

    /// The price of what thaw itself uses.
    pub fn overhead(self, used: Overhead) -> Usd {
        let line = |nanos: i64, count: u64, per: u128| Usd::nanos(nanos).times(u128::from(count), per);
        [
            line(25_000_000, used.state_transitions, 1_000),
            line(200_000_000, used.lambda_requests, 1_000_000),
            // arm64: $0.0000133334 per GB-second. The count is in MB-milliseconds.
            line(13_333_400, used.lambda_mb_ms, 1_000 * 1_024 * 1_000),
            // On demand: $0.625 per million write units, $0.125 per million read units.
            line(625_000_000, used.ledger_writes, 1_000_000),
            line(125_000_000, used.ledger_reads, 1_000_000),
            line(400_000_000, used.queue_requests, 1_000_000),
            line(400_000, used.s3_gets, 1_000),
            line(5_000_000, used.s3_puts, 1_000),
            // HTTP API: $1.00 per million calls; custom events: $1.00 per million.
            line(1_000_000_000, used.api_calls + used.bus_events, 1_000_000),
        ]
        .into_iter()
        .sum()
    }
}

/// The amounts of AWS's services that thaw itself uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overhead {
    /// Step Functions transitions, retries included.
    pub state_transitions: u64,
    /// Lambda invocations.
    pub lambda_requests: u64,
    /// Lambda time: memory in MB times milliseconds.
    pub lambda_mb_ms: u64,
    /// DynamoDB write units.
    pub ledger_writes: u64,
    /// DynamoDB read units.
    pub ledger_reads: u64,
    /// SQS requests.
    pub queue_requests: u64,
    /// S3 requests of the GET class: `HeadObject`, `GetObject`.
    pub s3_gets: u64,
    /// S3 requests of the PUT class: `PutObject`, `ListObjectsV2`.
    pub s3_puts: u64,
    /// HTTP API calls.
    pub api_calls: u64,
    /// Events put on the bus.
    pub bus_events: u64,
}

impl Overhead {
    /// The expected use of a restore of so many objects: the rounded counts of `cargo xtask bench cost`, for a single
    /// restore that S3 completes within its typical time.
    pub fn expected(objects: u64) -> Self {
        let chunks = objects.div_ceil(1_000);
        // The first thousand come one by one over hours, and each is a batch of its own. More are collected.
        let (few, more) = (objects.min(1_000), objects.saturating_sub(1_000));
        Self {
            // With two to four looks.
            state_transitions: 15 + 2 * chunks,
            // Of each batch an invocation publishes it and another confirms it.
            lambda_requests: 8 + chunks + 2 * few + more / 20,
            lambda_mb_ms: 500_000 + 266_000 * few + 30_000 * more,
            // Per object: the changes of its row, its share of a batch and of a chunk, and the record of its event. Also the
            // restore's own items.
            ledger_writes: 21 + 6 * few + more * 9 / 4,
            // A row is read by the handlers of both events, by the look that finds it readable and by the confirmation of
            // its batch. Also reads of batches.
            ledger_reads: 16 + 5 * few + more * 5 / 2,
            // Two events per object and a confirmation per batch: sent, received, deleted.
            queue_requests: 2 + 9 * few + more * 4,
            s3_gets: 5 + chunks + objects,
            s3_puts: 1 + chunks,
            api_calls: 1,
            bus_events: 2,
        }
    }
}

/// One line of a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Line {
    /// What the line is for.
    pub what: String,
    /// The amount, in words.
    pub amount: String,
    /// The price.
    pub usd: Usd,
}

/// The price of a plan, by line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cost {
    /// The sum of the lines.
    pub total_usd: Usd,
    /// The lines.
    pub lines: Vec<Line>,
    /// The Region of the prices.
    pub region: String,
    /// When the prices were read from AWS's pages.
    pub prices_of: String,
}

impl Cost {
    /// The sum of the lines, with the Region and the date of the prices.
    pub fn of(lines: Vec<Line>, prices: PriceList) -> Self {
        Self {
            total_usd: lines.iter().map(|line| line.usd).sum(),
            lines,
            region: prices.region.to_owned(),
            prices_of: prices.read.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: PriceList = PriceList::US_EAST_1;

    #[test]
    fn the_price_of_the_published_example_is_right() {
        // 15 million objects and 100 TB of Flexible Retrieval at Standard: $1,774 (AWS re:Post, managing retrievals).
        let bytes = 100 * 1024 * u64::try_from(GIB).unwrap();
        let (_, retrieval) = PRICES.retrieve(ArchiveKind::Flexible, Tier::Standard, 1, bytes);
        let (request, _) = PRICES.retrieve(ArchiveKind::Flexible, Tier::Standard, 1, 0);
        let total = retrieval + request.times(15_000_000, 1);
        assert_eq!(total, Usd::from_f64(1_774.0).unwrap());
    }

    #[test]
    fn ten_alarms_are_a_dollar() {
        assert_eq!(PRICES.alarms(10), Usd::from_f64(1.0).unwrap());
    }

    #[test]
    fn bulk_from_flexible_is_free() {
        assert_eq!(PRICES.retrieve(ArchiveKind::Flexible, Tier::Bulk, 1, u64::MAX), (Usd::nanos(0), Usd::nanos(0)));
    }

    #[test]
    fn a_gib_kept_a_month_is_the_price_of_standard_storage() {
        assert_eq!(PRICES.copy(1 << 30, 30), Usd::from_f64(0.023).unwrap());
    }

    #[test]
    fn leaving_an_archive_tier_costs_the_months_in_the_access_tiers() {
        // 100 TiB from Archive Access: 0.023 + 2 x 0.0125 - 3 x 0.0036 = 0.0372 a GiB.
        assert_eq!(PRICES.tiering(ArchiveKind::ItArchive, 100 << 40), Usd::from_f64(0.0372 * 102_400.0).unwrap());
        assert_eq!(PRICES.tiering(ArchiveKind::ItDeep, 1 << 30), Usd::from_f64(0.079_56).unwrap());
        for kind in [ArchiveKind::Flexible, ArchiveKind::Deep] {
            assert_eq!(PRICES.tiering(kind, u64::MAX), Usd::default());
        }
    }

    #[test]
    fn every_tier_has_its_published_price() {
        for (kind, tier, per_thousand, per_gib) in [
            (ArchiveKind::Flexible, Tier::Expedited, 10.0, 0.03),
            (ArchiveKind::Flexible, Tier::Standard, 0.05, 0.01),
            (ArchiveKind::Flexible, Tier::Bulk, 0.0, 0.0),
            (ArchiveKind::Deep, Tier::Standard, 0.1, 0.02),
            (ArchiveKind::Deep, Tier::Bulk, 0.025, 0.0025),
            (ArchiveKind::ItArchive, Tier::Expedited, 10.0, 0.03),
            (ArchiveKind::ItArchive, Tier::Standard, 0.0, 0.0),
            (ArchiveKind::ItDeep, Tier::Bulk, 0.0, 0.0),
        ] {
            let (request, gib) = PRICES.retrieve(kind, tier, 1, 1 << 30);
            let thousand: Usd = std::iter::repeat_n(request, 1_000).sum();
            assert_eq!((thousand.as_f64(), gib.as_f64()), (per_thousand, per_gib), "{kind:?} {tier:?}");
        }
    }

    #[test]
    fn every_overhead_has_its_published_price() {
        const MILLION: u64 = 1_000_000;
        for (used, usd) in [
            (Overhead { state_transitions: 1_000, ..Overhead::default() }, 0.025),
            (Overhead { lambda_requests: MILLION, ..Overhead::default() }, 0.20),
            (Overhead { lambda_mb_ms: MILLION * 1_024 * 1_000, ..Overhead::default() }, 13.3334),
            (Overhead { ledger_writes: MILLION, ..Overhead::default() }, 0.625),
            (Overhead { ledger_reads: MILLION, ..Overhead::default() }, 0.125),
            (Overhead { queue_requests: MILLION, ..Overhead::default() }, 0.40),
            (Overhead { s3_gets: 1_000, ..Overhead::default() }, 0.0004),
            (Overhead { s3_puts: 1_000, ..Overhead::default() }, 0.005),
            (Overhead { api_calls: MILLION, bus_events: MILLION, ..Overhead::default() }, 2.0),
        ] {
            assert_eq!(PRICES.overhead(used), Usd::from_f64(usd).unwrap(), "{used:?}");
        }
    }

    #[test]
    fn a_thousand_paths_cost_five_dollars() {
        assert_eq!(PRICES.invalidation(1_000), Usd::from_f64(5.0).unwrap());
    }

    #[test]
    fn a_job_costs_a_quarter_and_a_million_objects_a_dollar() {
        for (jobs, objects, usd) in [(1, 0, 0.25), (1, 1_000_000, 1.25), (2, 15_000_000, 15.5), (0, 0, 0.0)] {
            assert_eq!(PRICES.jobs(jobs, objects), Usd::from_f64(usd).unwrap(), "{jobs} jobs of {objects} objects");
        }
    }

    #[test]
    fn a_thousand_objects_use_what_the_cost_bench_counted() {
        let expected = Overhead {
            state_transitions: 17,
            lambda_requests: 2_009,
            lambda_mb_ms: 266_500_000,
            ledger_writes: 6_021,
            ledger_reads: 5_016,
            queue_requests: 9_002,
            s3_gets: 1_006,
            s3_puts: 2,
            api_calls: 1,
            bus_events: 2,
        };
        assert_eq!(Overhead::expected(1_000), expected);
    }

    #[test]
    fn a_price_is_the_sum_of_its_lines() {
        let line = |usd| Line { what: String::new(), amount: String::new(), usd: Usd::from_f64(usd).unwrap() };
        let cost = Cost::of(vec![line(0.5), line(2.25)], PRICES);
        assert_eq!(serde_json::to_value(&cost).unwrap()["total_usd"], 2.75);
        assert_eq!(serde_json::from_value::<Cost>(serde_json::to_value(&cost).unwrap()).unwrap(), cost);
    }

    #[test]
    fn amounts_read_well() {
        for (usd, text) in [(0.0, "0.00"), (41.2, "41.20"), (0.005, "0.005"), (0.000_000_625, "0.000000625")] {
            assert_eq!(Usd::from_f64(usd).unwrap().to_string(), text);
        }
    }

    #[test]
    fn only_amounts_of_zero_or_more_are_money() {
        for usd in [-1.0, f64::NAN, f64::INFINITY, 1e10] {
            assert_eq!(Usd::from_f64(usd), None);
        }
    }
}
