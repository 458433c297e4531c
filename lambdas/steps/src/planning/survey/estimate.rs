//! Prices and times of a survey's objects, at the requested tier and at others, and the warnings of a plan.

use jiff::Timestamp;
use thaw_core::{
    Alternative, Cost, Distribution, FunctionEvent, KeyReading, LeftOut, Line, Overhead, PriceList, PublishWhen, Tier,
    Undeclared, Usd, Window, is_asked_by_jobs,
};

use super::{Surveyor, Totals};

/// Savings or costs of folding are worth a warning from one dollar on.
const WORTH_TELLING: Usd = Usd::nanos(1_000_000_000);

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
        let mut lines = vec![
            line("retrieval requests", format!("{retrieved} at {}", tier.as_str()), requests),
            line("retrieval", gib(retrieved_bytes), retrieval),
            line("temporary copies", format!("{} for {} days", gib(copied), self.request.copy_days()), copies),
            line(
                "invalidation",
                format!("{folded}{paths} paths, as if the month's 1,000 free ones were used up"),
                book.invalidation(billed),
            ),
            line("thaw itself", format!("{total} objects"), book.overhead(Overhead::expected(total))),
        ];
        if moved > 0 {
            let amount = format!("{} in dearer tiers of Intelligent-Tiering, for 90 or 180 days", gib(moved));
            lines.insert(3, line("storage of what moves back", amount, tiering));
        }
        if by_jobs {
            let (jobs, objects) = self.jobs();
            let amount = format!("{jobs} {} of {objects} objects", if jobs == 1 { "job" } else { "jobs" });
            lines.insert(2, line("S3 Batch Operations", amount, book.jobs(jobs, objects)));
        }
        Cost::of(lines, book)
    }

    /// Intelligent-Tiering objects that move back for good: their bytes, and the cost of the months after.
    fn tiering(&self) -> (u64, Usd) {
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
            let says = format!(
                "{}{how}: ${usd} instead of ${total_usd}, typically ready {} to {} from now.",
                tier.as_str(),
                hours[0],
                hours[1]
            );
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

    /// How much cheaper it would be to publish all objects together; or, if they are, how much the price depends on
    /// wildcards.
    fn says_of_folding(&self) -> Option<String> {
        let Totals { paths, folded, .. } = self.totals;
        let folded = folded?;
        let saved = PriceList::US_EAST_1.invalidation(paths.saturating_sub(folded));
        if saved < WORTH_TELLING {
            return None;
        }
        match self.request.publish.when {
            PublishWhen::Together => Some(format!(
                "the price counts on wildcards: if CloudFront refuses them, or something is archived between the objects meanwhile, it is up to ${saved} more"
            )),
            PublishWhen::Each => Some(format!(
                "{paths} paths are priced one by one, as objects are published when they come: with publish.when together, wildcards are expected to make them {folded}, for ${saved} less"
            )),
            PublishWhen::Never => None,
        }
    }

    /// Functions may change which object a path shows, unless `DirectoryIndex` or `PathRules` say what they do.
    fn says_of_functions(&self) -> Vec<String> {
        let functions = self.distributions.iter().flat_map(|distribution| {
            distribution.undeclared().into_iter().map(|undeclared| (distribution.id.as_str(), undeclared))
        });
        let says = |(id, Undeclared { behaviour, function, event }): (&str, Undeclared<'_>)| {
            let sees = match event {
                FunctionEvent::ViewerRequest => "sees the requests",
                FunctionEvent::OriginRequest => "sees, on their way to the origin, the requests",
            };
            format!(
                "the function {function} {sees} of the behaviour {behaviour} of {id} and may change which object they get: paths there are invalidated one by one, without wildcards, and a path that it rewrites is not known. If it only adds an index document to directories, set the parameter DirectoryIndex; else say in the parameter PathRules under which paths it shows which keys."
            )
        };
        functions.map(says).collect()
    }

    /// Warns of paths with variants: what they cost, and how long they take.
    fn says_of_query_strings(&self) -> Vec<String> {
        let (variants, when) = (self.totals.variants, self.request.publish.when);
        if variants == 0 {
            return Vec::new();
        }
        let patterns = |distribution: &Distribution| {
            let behaviours = distribution.behaviours_to(&self.request.bucket);
            let apart = behaviours.filter(|behaviour| behaviour.query_strings.make_variants());
            let patterns: Vec<&str> = apart.map(|behaviour| behaviour.pattern.as_str()).collect();
            (!patterns.is_empty())
                .then(|| format!("{} caches by query string ({})", distribution.id, patterns.join(", ")))
        };
        let distributions: Vec<String> = self.distributions.iter().filter_map(patterns).collect();
        let mut says = format!(
            "{}: a path is invalidated by itself and with any query string, which is two billed paths, one of them a wildcard ({variants} here)",
            distributions.join("; ")
        );
        if variants >= 60 {
            // Developer Guide, "Quotas on invalidations": one a second.
            says += &format!(
                ". CloudFront takes one wildcard a second, so that takes about {} minutes",
                variants.div_ceil(60)
            );
            if when == PublishWhen::Each {
                says += "; with publish.when together, a folder that is restored whole takes one";
            }
        }
        vec![says]
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let (request, totals) = (self.request, &self.totals);
        warnings.extend(totals.reading.map(|reading| {
            let how = match reading {
                KeyReading::AsIs => "as they are: % and + are characters of the keys",
                KeyReading::UrlEncoded => "URL-encoded, as it is CSV: %20 and + are blanks",
            };
            format!("the keys of the list were read {how}")
        }));
        let Totals { old_versions, joined, expire_sooner: shorter, denied, .. } = *totals;
        if !request.publish.never() {
            // An access point may be that of another bucket, so it is only worth a warning if some object is not shown.
            let is_relevant =
                |why: LeftOut| why != LeftOut::AccessPoint || self.distributions.is_empty() || totals.without_path > 0;
            warnings.extend(self.left_out.iter().filter(|(_, why)| is_relevant(*why)).map(|(id, why)| why.says(id)));
            warnings.extend(self.says_of_functions());
            warnings.extend(self.says_of_query_strings());
            if totals.of_tenants > 0 {
                let ids: Vec<&str> = self.of_tenants.iter().map(|one| one.id.as_str()).collect();
                warnings.push(format!(
                    "{} objects are shown by no distribution, except that {} does or may show them to its tenants: they are restored and paid for, and then fail as ShownByTenantsOnly, because thaw does not invalidate for tenants. With publish.when never they are only restored",
                    totals.of_tenants,
                    ids.join(" or ")
                ));
            }
            let others = if self.left_out.is_empty() { "" } else { "other " };
            let is_all_said = totals.of_tenants > 0 && totals.without_path == 0;
            if self.distributions.is_empty() && !is_all_said {
                warnings.push(format!(
                    "no {others}distribution has the bucket {} as an origin: {}",
                    request.bucket,
                    self.looked_for()
                ));
            } else if totals.without_path > 0 && totals.paths == 0 && totals.of_tenants == 0 {
                warnings.push(format!("no distribution shows any of the objects: {}", self.looked_for()));
            } else if totals.without_path > 0 {
                warnings.push(format!(
                    "{} objects are not served by any distribution: they are restored, and nothing is invalidated for them",
                    totals.without_path
                ));
            }
            if totals.wildcards > 0 {
                warnings.push(format!("{} paths contain ~, which CloudFront cannot invalidate: a wildcard that ends before it is used where nothing archived lies under it", totals.wildcards));
            }
            if totals.mixed_spellings > 0 {
                warnings.push(format!("{} objects have several blanks in their names (or several + behind a website endpoint): a path is invalidated with all of them as %20, and with all of them as +. One that mixes the two, such as /a+b%20c, is not", totals.mixed_spellings));
            }
            if totals.only_errors > 0 && !request.publish.only_if_stale {
                let saved = PriceList::US_EAST_1.invalidation(totals.only_errors);
                warnings.push(format!("for {} objects at most a cached error can be stale, and that briefly: publish.only_if_stale would save up to ${saved}", totals.only_errors));
            }
            warnings.extend(self.says_of_folding());
            if old_versions > 0 {
                warnings.push(format!("{old_versions} objects are not the current versions of their keys: viewers do not get them, and nothing is invalidated for them"));
            }
        }
        let (moved, tiering) = self.tiering();
        if moved > 0 {
            warnings.push(format!(
                "{} of Intelligent-Tiering move back for good and cost about ${tiering} more than in the archive: S3 keeps them in Frequent Access for 30 days and in Infrequent Access after that, and archives them again after 90 days (Archive Access) or 180 days (Deep Archive Access) without a reader at the earliest",
                gib(moved)
            ));
        }
        if joined > 0 {
            warnings.push(format!("{joined} objects are being restored already: thaw joins, and S3 keeps their copies as long as the first requester said"));
        }
        if shorter > 0 {
            warnings.push(format!(
                "{shorter} copies expire sooner than {} days from now, and are not extended",
                request.copy_days()
            ));
        }
        if denied > 0 {
            warnings.push("S3 answers 403 for some objects: with s3:ListBucket on the bucket it would say 404 for those that do not exist".to_owned());
        }
        warnings
    }

    /// The text about the origin that would show the objects, and the origins that exist.
    fn looked_for(&self) -> String {
        let bucket = &self.request.bucket;
        let seen = |distribution: &Distribution| {
            let origins = distribution.origins.iter().map(|origin| format!("{}{}", origin.domain, origin.path));
            format!("{} has {}", distribution.id, origins.collect::<Vec<_>>().join(", "))
        };
        let seen: Vec<String> = self.distributions.iter().map(seen).collect();
        let seen = if seen.is_empty() { String::new() } else { format!(" {}.", seen.join("; ")) };
        format!(
            "they are restored, and nothing is invalidated for them. thaw looks for an origin such as {bucket}.s3.<region>.amazonaws.com, {bucket}.s3-website-<region>.amazonaws.com, or s3.<region>.amazonaws.com with /{bucket} in its path, whose own path the keys begin with, and for a behaviour that leads there.{seen}"
        )
    }
}

fn gib(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let gib = bytes as f64 / f64::from(1 << 30);
    format!("{gib:.3} GiB")
}
