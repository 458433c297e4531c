//! Sets of a chunk's entries as bitmaps, and the finished entries of a chunk.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Bytes, Counts, Row};

/// A set of a chunk's entries as a bitmap. Entry 0 is the lowest bit of the first byte.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrySet(Bytes);

impl EntrySet {
    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.0.is_empty()
    }

    /// Whether the set has an entry.
    pub fn has(&self, entry: u32) -> bool {
        let (byte, bit) = place(entry);
        self.0.0.get(byte).is_some_and(|byte| byte & bit != 0)
    }

    fn insert(&mut self, entry: u32) {
        let (byte, bit) = place(entry);
        if self.0.0.len() <= byte {
            self.0.0.resize(byte + 1, 0);
        }
        self.0.0[byte] |= bit;
    }

    /// The union of two sets.
    pub fn and(mut self, other: &Self) -> Self {
        let longest = self.0.0.len().max(other.0.0.len());
        self.0.0.resize(longest, 0);
        for (byte, more) in self.0.0.iter_mut().zip(&other.0.0) {
            *byte |= more;
        }
        self
    }
}

impl FromIterator<u32> for EntrySet {
    fn from_iter<I: IntoIterator<Item = u32>>(entries: I) -> Self {
        let mut set = Self::default();
        entries.into_iter().for_each(|entry| set.insert(entry));
        set
    }
}

fn place(entry: u32) -> (usize, u8) {
    (usize::try_from(entry / 8).unwrap_or(usize::MAX), 1 << (entry % 8))
}

/// Finished entries and their counts. Their rows are final ([`Row::is_final`]), so an entry is never taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    entries: EntrySet,
    /// The counts of these entries.
    pub counts: Counts,
    /// When their copies expire.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub expire: BTreeSet<Timestamp>,
}

impl Finished {
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether it has an entry.
    pub fn has(&self, entry: u32) -> bool {
        self.entries.has(entry)
    }

    /// Adds entries. The caller only passes entries that it does not have yet: each is counted.
    pub fn take<'a>(&mut self, entries: impl IntoIterator<Item = (u32, &'a Row)>) {
        for (entry, row) in entries {
            self.entries.insert(entry);
            self.expire.extend(row.state.expires());
            self.counts += Counts::of([row]);
        }
    }

    /// Adds up two parts of a chunk.
    pub fn and(mut self, other: Self) -> Self {
        self.counts += other.counts;
        self.expire.extend(other.expire);
        Self { entries: self.entries.and(&other.entries), ..self }
    }
}

#[cfg(test)]
mod tests {
    use thaw_core::{RestoreId, State};

    use super::*;
    use crate::testing::stack::{now, row};

    fn of(entries: &[u32]) -> Finished {
        let row = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", State::Cancelled { at: now() });
        let mut finished = Finished::default();
        finished.take(entries.iter().map(|entry| (*entry, &row)));
        finished
    }

    fn has(finished: &Finished) -> Vec<u32> {
        (0..100).filter(|entry| finished.has(*entry)).collect()
    }

    #[test]
    fn a_set_has_the_entries_that_it_took_and_no_others() {
        assert!(Finished::default().is_empty() && has(&Finished::default()).is_empty());
        let finished = of(&[17, 0, 7, 8]);
        assert_eq!((has(&finished), finished.counts.cancelled, finished.is_empty()), (vec![0, 7, 8, 17], 4, false));
        for (a, b) in [(&[1, 30][..], &[2][..]), (&[2], &[1, 30])] {
            let both = of(a).and(of(b));
            assert_eq!((has(&both), both.counts.cancelled), (vec![1, 2, 30], 3));
        }
    }

    #[test]
    fn a_set_is_read_as_it_was_written() {
        let finished = of(&[3, 50]);
        let text = serde_json::to_string(&finished).unwrap();
        assert_eq!(serde_json::from_str::<Finished>(&text).unwrap(), finished);
    }
}
