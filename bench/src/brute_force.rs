//! Small random buckets, folded and tried out: whether `fold` bills as little as can be.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use thaw_core::{Neighbours, fold};

/// Objects of a bucket at most.
const OBJECTS: usize = 7;

/// A bucket: the paths that are restored, and those of archived objects.
struct Bucket {
    restored: BTreeSet<String>,
    archived: BTreeSet<String>,
}

/// Folds so many buckets, and as many whose paths have variants by query string. Fails at the first that is billed more,
/// or less, than the least of all ways.
pub fn compare(buckets: usize) -> Result<()> {
    let mut folded_ones = 0;
    for number in 0..2 * buckets {
        let bucket = Bucket::new(number, number % 2 == 1);
        let [paths, archived] =
            [&bucket.restored, &bucket.archived].map(|paths| paths.iter().map(String::as_str).collect::<Vec<&str>>());
        let neighbours = Neighbours { listed: &["/"], archived: &archived, readable: &[] };
        let billed = fold(&paths, &neighbours, 0)?.billed();
        let least = bucket.least("/");
        ensure!(billed == least, "{paths:?} beside {archived:?} are billed as {billed}, and {least} would do");
        folded_ones += usize::from(billed < paths.len());
    }
    ensure!(folded_ones > buckets / 10, "only {folded_ones} of the buckets were folded");
    println!(
        "{buckets} random buckets of up to {OBJECTS} objects, and {buckets} whose paths are cached by query string, are billed as \
         little as the best of all ways; {folded_ones} of them with wildcards."
    );
    Ok(())
}

impl Bucket {
    fn new(number: usize, has_variants: bool) -> Self {
        let mut random = number as u64;
        let mut below = |end: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % end
        };
        let (mut restored, mut archived) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..=below(OBJECTS as u64) {
            let path: String = (0..=below(3)).map(|_| ['a', 'b', '/'][below(3) as usize]).collect();
            let path = format!("/{path}");
            if below(3) == 0 {
                archived.insert(path);
            } else {
                if has_variants {
                    restored.insert(format!("{path}?*"));
                }
                restored.insert(path);
            }
        }
        restored.retain(|path| !archived.contains(path.trim_end_matches("?*")));
        Self { restored, archived }
    }

    /// The least number of billed paths that cover all restored paths under this beginning: one wildcard, if it covers
    /// nothing archived, or the best for each next character.
    fn least(&self, stem: &str) -> usize {
        let under = |paths: &BTreeSet<String>| paths.iter().any(|path| path.starts_with(stem));
        if !under(&self.restored) {
            return 0;
        }
        if !under(&self.archived) {
            return 1;
        }
        let next: BTreeSet<char> =
            self.restored.iter().filter_map(|path| path.strip_prefix(stem)?.chars().next()).collect();
        let longer: usize = next.into_iter().map(|next| self.least(&format!("{stem}{next}"))).sum();
        longer + usize::from(self.restored.contains(stem))
    }
}
