//! What is over: the entries of a chunk that nothing can change any more, so that nobody has to read their rows again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{Bytes, Counts, Row};

/// Entries of a chunk whose rows are final ([`Row::is_final`]), and what they add up to. None is ever taken out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    /// A bit for each entry, the first one the lowest of the first byte.
    entries: Bytes,
    /// Where their objects stand.
    pub counts: Counts,
    /// When their copies go away.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub expire: BTreeSet<Timestamp>,
}

impl Over {
    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.0.is_empty()
    }

    /// Whether it has an entry.
    pub fn has(&self, entry: u32) -> bool {
        let (byte, bit) = place(entry);
        self.entries.0.get(byte).is_some_and(|byte| byte & bit != 0)
    }

    /// Takes entries in that it does not have yet.
    pub fn take<'a>(&mut self, entries: impl IntoIterator<Item = (u32, &'a Row)>) {
        let mut rows = Vec::new();
        for (entry, row) in entries {
            let (byte, bit) = place(entry);
            if self.entries.0.len() <= byte {
                self.entries.0.resize(byte + 1, 0);
            }
            self.entries.0[byte] |= bit;
            rows.push(row);
        }
        self.expire.extend(rows.iter().filter_map(|row| row.state.expires()));
        self.counts += Counts::of(rows);
    }

    /// Those of two parts of a chunk.
    pub fn and(mut self, other: Self) -> Self {
        let longest = self.entries.0.len().max(other.entries.0.len());
        self.entries.0.resize(longest, 0);
        for (byte, more) in self.entries.0.iter_mut().zip(&other.entries.0) {
            *byte |= more;
        }
        self.counts += other.counts;
        self.expire.extend(other.expire);
        self
    }
}

fn place(entry: u32) -> (usize, u8) {
    (usize::try_from(entry / 8).unwrap_or(usize::MAX), 1 << (entry % 8))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::{now, row};
    use thaw_core::{RestoreId, State};

    fn of(entries: &[u32]) -> Over {
        let row = row(&RestoreId::try_from("r".to_owned()).unwrap(), "a", State::Cancelled { at: now() });
        let mut over = Over::default();
        over.take(entries.iter().map(|entry| (*entry, &row)));
        over
    }

    fn has(over: &Over) -> Vec<u32> {
        (0..100).filter(|entry| over.has(*entry)).collect()
    }

    #[test]
    fn it_has_what_it_took_and_no_other() {
        assert!(Over::default().is_empty() && has(&Over::default()).is_empty());
        let over = of(&[17, 0, 7, 8]);
        assert_eq!((has(&over), over.counts.cancelled, over.is_empty()), (vec![0, 7, 8, 17], 4, false));
        for (a, b) in [(&[1, 30][..], &[2][..]), (&[2], &[1, 30])] {
            let both = of(a).and(of(b));
            assert_eq!((has(&both), both.counts.cancelled), (vec![1, 2, 30], 3));
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let over = of(&[3, 50]);
        let text = serde_json::to_string(&over).unwrap();
        assert_eq!(serde_json::from_str::<Over>(&text).unwrap(), over);
    }
}
