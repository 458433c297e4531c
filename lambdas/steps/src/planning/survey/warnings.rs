//! The warnings of a plan: what the caller should know of the objects before money is spent.

use thaw_core::{
    Distribution, FunctionEvent, KeyReading, LeftOut, PriceList, PublishWhen, Undeclared, Usd, quantity, size,
};

use super::estimate::objects;
use super::{Surveyor, Totals};

/// Savings or costs of folding are worth a warning from one dollar on.
const WORTH_TELLING: Usd = Usd::nanos(1_000_000_000);

impl Surveyor<'_> {
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
            warnings.extend(self.distributions.iter().flat_map(says_of_functions));
            warnings.extend(self.says_of_query_strings());
            if totals.of_tenants > 0 {
                let ids: Vec<&str> = self.of_tenants.iter().map(|one| one.id.as_str()).collect();
                let then = match request.publish_only {
                    true => "they fail as ShownByTenantsOnly, because thaw does not invalidate for tenants",
                    false => {
                        "they are restored and paid for, and then fail as ShownByTenantsOnly, because thaw does not invalidate for tenants. With publish.when never they are only restored"
                    }
                };
                warnings.push(format!(
                    "no distribution shows {} of this restore, except that {} does or may show them to its tenants: {then}",
                    objects(totals.of_tenants),
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
                let restores = if request.publish_only { "" } else { "restores what it was asked for, and " };
                warnings.push(format!(
                    "no distribution shows {} of this restore: thaw {restores}invalidates nothing there",
                    objects(totals.without_path)
                ));
            }
            if totals.wildcards > 0 {
                warnings.push(format!("CloudFront cannot invalidate {} with ~: a wildcard that ends before the ~ is used where nothing archived lies under it", quantity(totals.wildcards, "path", "paths")));
            }
            if totals.mixed_spellings > 0 {
                warnings.push(format!("the keys of {} have several blanks (or several + behind a website endpoint): a path is invalidated with all of them as %20, and with all of them as +. One that mixes the two, such as /a+b%20c, is not", objects(totals.mixed_spellings)));
            }
            if totals.only_errors > 0 && !request.publish.only_if_stale && !request.publish_only {
                let saved = PriceList::US_EAST_1.invalidation(totals.only_errors);
                warnings.push(format!("for {} at most a cached error can be stale, and that briefly: publish.only_if_stale would save up to ${saved}", objects(totals.only_errors)));
            }
            warnings.extend(self.says_of_folding());
            if old_versions > 0 {
                let named = if request.publish_only { "named" } else { "restored" };
                warnings.push(format!(
                    "for {} an old version is {named}: viewers do not get it, and nothing is invalidated for it",
                    objects(old_versions)
                ));
            }
        }
        let (moved, tiering) = self.tiering();
        if moved > 0 {
            warnings.push(format!(
                "{} of Intelligent-Tiering move back for good and cost about ${tiering} more than in the archive: S3 keeps them in Frequent Access for 30 days and in Infrequent Access after that, and archives them again after 90 days (Archive Access) or 180 days (Deep Archive Access) without a reader at the earliest",
                size(moved)
            ));
        }
        if joined > 0 {
            warnings.push(format!("somebody else began to restore {}: thaw joins, and S3 keeps the copy for as long as the first requester said", objects(joined)));
        }
        if shorter > 0 {
            warnings.push(format!(
                "{} sooner than {} days from now, and with join_only S3 is not asked for more",
                if shorter == 1 { "1 copy expires".to_owned() } else { format!("{shorter} copies expire") },
                request.copy_days()
            ));
        }
        if denied > 0 {
            warnings.push("S3 answers 403 for some objects: with s3:ListBucket on the bucket it would say 404 for those that do not exist".to_owned());
        }
        warnings
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
            PublishWhen::Together | PublishWhen::Each if self.is_at_once() => Some(format!(
                "the price counts on wildcards: if CloudFront refuses them, or something is archived between the objects meanwhile, it is up to ${saved} more"
            )),
            PublishWhen::Each => Some(format!(
                "{paths} paths are priced one by one, as objects are published when they come: with publish.when together, wildcards are expected to make them {folded}, for ${saved} less"
            )),
            PublishWhen::Together | PublishWhen::Never => None,
        }
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
            if when == PublishWhen::Each && !self.is_at_once() {
                says += "; with publish.when together, a folder that is restored whole takes one";
            }
        }
        vec![says]
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
        let restored = if self.request.publish_only { "" } else { "they are restored, and " };
        format!(
            "{restored}nothing is invalidated for them. thaw looks for an origin such as {bucket}.s3.<region>.amazonaws.com, {bucket}.s3-website-<region>.amazonaws.com, or s3.<region>.amazonaws.com with /{bucket} in its path, whose own path the keys begin with, and for a behaviour that leads there.{seen}"
        )
    }
}

/// Functions may change which object a path shows, unless `DirectoryIndex` or `PathRules` say what they do.
pub fn says_of_functions(distribution: &Distribution) -> Vec<String> {
    let says = |Undeclared { behaviour, function, event }: Undeclared<'_>| {
        let sees = match event {
            FunctionEvent::ViewerRequest => "sees the requests",
            FunctionEvent::OriginRequest => "sees, on their way to the origin, the requests",
        };
        format!(
            "the function {function} {sees} of the behaviour {behaviour} of {} and may change which object they get: paths there are invalidated one by one, without wildcards, and a path that it rewrites is not known. If it only adds an index document to directories, set the parameter DirectoryIndex; else say in the parameter PathRules under which paths it shows which keys.",
            distribution.id
        )
    };
    distribution.undeclared().into_iter().map(says).collect()
}
