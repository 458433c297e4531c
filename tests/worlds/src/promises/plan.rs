//! Promises about plans.

use thaw_core::{Row, Source};
use thaw_steps::ledger::restores::RestoreRecord;

use super::Checker;
use crate::environment::Environment;

impl Checker {
    /// Checks that the plan of a prefix has every object of the prefix exactly once.
    pub(super) fn check_prefix(&mut self, env: &Environment, record: &RestoreRecord, planned: &[Row]) {
        let Source::Prefix { prefix, .. } = &record.request.source else { return };
        for key in env.world.objects.iter().filter_map(|object| env.world.full_key(object.id)) {
            let count = planned.iter().filter(|row| row.object.key == key).count();
            let has_prefix = key.starts_with(prefix.as_str());
            if count != usize::from(has_prefix) && !self.objects.is_changed(&key) {
                let details = format!("{} of {prefix:?} has {key} {count} times", record.id);
                self.violate("a plan has every object of its prefix exactly once", details);
            }
        }
    }
}
