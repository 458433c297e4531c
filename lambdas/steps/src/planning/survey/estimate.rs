//! Prices and times of a survey's objects, at the requested tier and at others.

use jiff::Timestamp;
use thaw_core::{Alternative, Cost, Line, Overhead, PriceList, Tier, Usd, Window, is_asked_by_jobs, quantity, size};

use super::Surveyor;

impl Surveyor<'_> {
    /// Whether S3 Batch Operations asks for the archived objects at a tier.
    pub(super) fn is_asked_by_jobs(&self, tier: Tier) -> bool {
        let archived = self.totals.by_kind.values().map(|tally| tally.archived).sum();
        is_asked_by_jobs(tier, self.request.batch_operations, archived, self.batch_operations_over)
    }

    /// The number of jobs and of their objects. Objects with copies and objects without have separate jobs.
    fn jobs(&self) -> (u64, u64) {
        let archived = |has_copy| {
            let kinds = self.totals.by_kind.iter().filter(|(kind, _)| kind.has_copy() == has_copy);
            kinds.map(|(_, tally)| tally.archived).sum::<u64>()
        };
        let archived = [archived(true), archived(false)];
        (archived.iter().map(|objects| objects.div_ceil(self.objects_per_job)).sum(), archived.iter().sum())
    }

    pub(super) fn price(&self, tier: Tier, by_jobs: bool) -> Cost {
        let book = PriceList::US_EAST_1;
        let (mut requests, mut retrieval, mut copies) = (Usd::default(), Usd::default(), Usd::default());
        let (mut retrieved, mut retrieved_bytes, mut copied) = (0, 0, 0);
        for (kind, tally) in &self.totals.by_kind {
            let (objects, bytes) = tally.retrieved;
            let (request_price, retrieval_price) = book.retrieve(*kind, tier, objects, bytes);
            requests = requests + request_price;
            retrieval = retrieval + retrieval_price;
            retrieved += objects;
            retrieved_bytes += bytes;
            copies = copies + book.copy(tally.copied, self.request.copy_days());
            copied += tally.copied;
        }
        let (moved, tiering) = self.tiering();
        let (total, paths, billed) = (self.totals.counts.total, self.totals.paths, self.billed_paths());
        let folded = if billed < paths { format!("{billed} billed ones for ") } else { String::new() };
        let line = |what: &str, amount: String, usd| Line { what: what.to_owned(), amount, usd };
        let mut lines = Vec::new();
        // With publish_only S3 is asked for nothing, and lines of zeros would say nothing.
        if !self.request.publish_only {
            lines.push(line("retrieval requests", format!("{retrieved} at {}", tier.as_str()), requests));
            lines.push(line("retrieval", size(retrieved_bytes), retrieval));
            if by_jobs {
                let (jobs, of) = self.jobs();
                let amount = format!("{} of {}", quantity(jobs, "job", "jobs"), objects(of));
                lines.push(line("S3 Batch Operations", amount, book.jobs(jobs, of)));
            }
            let amount = format!("{} for {} days", size(copied), self.request.copy_days());
            lines.push(line("temporary copies", amount, copies));
            if moved > 0 {
                let amount = format!("{} in dearer tiers of Intelligent-Tiering, for 90 or 180 days", size(moved));
                lines.push(line("storage of what moves back", amount, tiering));
            }
        }
        let amount =
            format!("{folded}{}, as if the month's 1,000 free ones were used up", quantity(paths, "path", "paths"));
        lines.push(line("invalidation", amount, book.invalidation(billed)));
        lines.push(line("thaw itself", objects(total), book.overhead(Overhead::expected(total))));
        Cost::of(lines, book)
    }

    /// Intelligent-Tiering objects that move back for good: their bytes, and the cost of the months after.
    pub(super) fn tiering(&self) -> (u64, Usd) {
        let kinds = self.totals.by_kind.iter();
        let priced = kinds.map(|(kind, tally)| (tally.moved, PriceList::US_EAST_1.tiering(*kind, tally.moved)));
        priced.fold((0, Usd::default()), |(bytes, usd), (more, price)| (bytes + more, usd + price))
    }

    /// The time windows of all objects that are waited for; `None` if one of the kinds is not offered at the tier.
    fn windows(&self, tier: Tier, by_jobs: bool) -> Option<Vec<Window>> {
        let mut windows = Vec::new();
        for (kind, tally) in &self.totals.by_kind {
            let by_jobs = if by_jobs { tally.archived } else { 0 };
            if by_jobs > 0 {
                windows.push(kind.window_by_jobs(tier)?);
            }
            if tally.retrieved.0 > by_jobs {
                windows.push(kind.window(tier)?);
            }
            // The tier of a restore that somebody else began is unknown. It may take as long as the slowest.
            if tally.watched > 0 {
                windows.push(kind.window(Tier::Bulk)?);
            }
        }
        Some(windows)
    }

    pub(super) fn ready_between(&self, tier: Tier, by_jobs: bool) -> Option<[Timestamp; 2]> {
        let windows = self.windows(tier, by_jobs)?;
        let earliest = windows.iter().map(|window| window.earliest).min()?;
        let latest = windows.iter().map(|window| window.typical).max()?;
        Some([self.now + earliest, self.now + latest])
    }

    /// Prices and times at the other tiers that S3 offers for all objects. Also those of S3 Batch Operations at the
    /// same tier, if it begins sooner and the request does not exclude it.
    pub(super) fn alternatives(&self, total_usd: Usd) -> Vec<Alternative> {
        if self.totals.by_kind.values().all(|tally| tally.retrieved.0 == 0) {
            return Vec::new();
        }
        let other = |tier: Tier, batch_operations: bool| {
            let ready_between = self.ready_between(tier, batch_operations)?;
            let usd = self.price(tier, batch_operations).total_usd;
            let hours = ready_between.map(|at| self.hours_until(at));
            let how = if batch_operations { " by S3 Batch Operations" } else { "" };
            // Prices that differ by less than they show would read as if one had to choose.
            let price = match (usd.to_string(), total_usd.to_string()) {
                (usd, total_usd) if usd == total_usd => format!("${usd}, as at {}", self.request.tier.as_str()),
                (usd, total_usd) => format!("${usd} instead of ${total_usd}"),
            };
            let says =
                format!("{}{how}: {price}, typically ready {} to {} from now.", tier.as_str(), hours[0], hours[1]);
            Some(Alternative { tier, batch_operations, total_usd: usd, ready_between, says })
        };
        let request = self.request;
        let tiers = Tier::ALL.into_iter().filter(|tier| *tier != request.tier);
        let mut others: Vec<_> = tiers.filter_map(|tier| other(tier, self.is_asked_by_jobs(tier))).collect();
        if request.batch_operations.is_none() && !self.is_asked_by_jobs(request.tier) && self.jobs().1 > 0 {
            let begins = |by_jobs| self.ready_between(request.tier, by_jobs).map(|[first, _]| first);
            let is_sooner = begins(true).is_some_and(|first| Some(first) < begins(false));
            others.extend(is_sooner.then(|| other(request.tier, true)).flatten());
        }
        others.sort_by_key(|alternative| alternative.total_usd);
        others
    }

    fn hours_until(&self, at: Timestamp) -> String {
        let minutes = (at.as_second() - self.now.as_second()) / 60;
        if minutes < 60 { format!("{minutes} min") } else { format!("{} h", minutes / 60) }
    }
}

pub(super) fn objects(count: u64) -> String {
    quantity(count, "object", "objects")
}
