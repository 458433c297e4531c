//! How many calls fit into a second: a bucket of permits that fills up as time passes.

use jiff::Timestamp;

/// A token bucket that holds one second's worth and starts full.
#[derive(Debug, Default)]
pub(crate) struct TokenBucket {
    last: Option<(Timestamp, f64)>,
}

impl TokenBucket {
    /// Takes `wanted` permits, or none: false means the caller is too fast.
    /// `second` is how long the callers' second lasts in model time.
    pub(crate) fn take(&mut self, wanted: usize, per_second: u32, second: f64, now: Timestamp) -> bool {
        let left = self.left(per_second, second, now);
        let fits = wanted as f64 <= left;
        self.last = Some((now, if fits { left - wanted as f64 } else { left }));
        fits
    }

    /// The permits that there are.
    pub(crate) fn left(&self, per_second: u32, second: f64, now: Timestamp) -> f64 {
        let full = f64::from(per_second);
        match self.last {
            None => full,
            Some((then, left)) => {
                let passed = now.duration_since(then).as_secs_f64().max(0.0) / second;
                (left + passed * full).min(full)
            }
        }
    }
}
