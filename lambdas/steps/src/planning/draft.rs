//! Drafts: the state of an unfinished plan, handed from one call to the next.
//!
//! A call that has planned for some minutes writes a file and answers a cursor that names it. The next call, or its
//! retry, continues from there. The name of a file has the time of the call that wrote it and the hash of its content.
//! So if two calls continue from the same cursor, neither changes what the other reads.

use std::collections::HashSet;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thaw_core::{RestoreId, hash_bytes};

use crate::StepError;
use crate::ledger::chunks::ChunkEntry;
use crate::ledger::restores::WrittenBy;
use crate::planning::sources::SourcePlace;
use crate::planning::survey::SurveyState;
use crate::ports::WorkFiles;

/// Bytes that are kept of an object that was seen: its hash.
const SEEN_BYTES: usize = 16;

/// The state of a plan between two calls. It is as large as a chunk and the keys of one call of Invalidate, for any
/// number of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// How many calls have worked on it.
    pub calls: u32,
    /// Where the next objects come from.
    pub place: SourcePlace,
    /// The survey so far.
    pub survey: SurveyState,
    /// Files with the objects that were seen; none for a listing.
    pub seen: Vec<SeenFile>,
    /// Objects that were surveyed and do not fill a chunk yet.
    pub waiting: Vec<ChunkEntry>,
    /// When the first of them was surveyed, or a moment before.
    pub waiting_since: Option<Timestamp>,
    /// The number of objects of each chunk that was written.
    pub chunks: Vec<u64>,
    /// The calls that wrote the chunks.
    pub written: Vec<WrittenBy>,
}

/// A file with the objects that one call has seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenFile {
    name: String,
    hash: String,
}

impl Draft {
    /// The draft of a new plan.
    pub fn new() -> Self {
        Self {
            calls: 0,
            place: SourcePlace::Beginning,
            survey: SurveyState::default(),
            seen: Vec::new(),
            waiting: Vec::new(),
            waiting_since: None,
            chunks: Vec::new(),
            written: Vec::new(),
        }
    }

    /// The draft that a cursor names.
    pub async fn read(cursor: &Cursor, id: &RestoreId, files: &impl WorkFiles) -> Result<Self, StepError> {
        let file = unchanged(&cursor.file(id, "json"), &cursor.hash, files).await?;
        Ok(serde_json::from_slice(&file)?)
    }

    /// Writes the draft of a call that began at this time. `seen` are the objects that this call has seen.
    pub async fn write(
        mut self,
        seen: &[u128],
        id: &RestoreId,
        began: Timestamp,
        files: &impl WorkFiles,
    ) -> Result<Cursor, StepError> {
        self.calls += 1;
        let calls = self.calls;
        let cursor = |bytes: &[u8]| Cursor { calls, began, hash: hash_bytes(bytes) };
        if !seen.is_empty() {
            let bytes: Vec<u8> = seen.iter().flat_map(|seen| seen.to_le_bytes()).collect();
            let named = cursor(&bytes);
            let file = SeenFile { name: named.file(id, "seen"), hash: named.hash };
            files.put(&file.name, bytes).await?;
            self.seen.push(file);
        }
        let draft = serde_json::to_vec(&self)?;
        let named = cursor(&draft);
        files.put(&named.file(id, "json"), draft).await?;
        Ok(named)
    }

    /// The objects that all calls so far have seen.
    pub async fn seen(&self, files: &impl WorkFiles) -> Result<HashSet<u128>, StepError> {
        let mut all = HashSet::new();
        for SeenFile { name, hash } in &self.seen {
            let file = unchanged(name, hash, files).await?;
            let (seen, _) = file.as_chunks::<SEEN_BYTES>();
            all.reserve(seen.len());
            all.extend(seen.iter().map(|seen| u128::from_le_bytes(*seen)));
        }
        Ok(all)
    }
}

/// Reads a file, and fails if it was changed since it was written. So S3 is only asked for what was planned, even if
/// others can write to the work bucket.
async fn unchanged(name: &str, hash: &str, files: &impl WorkFiles) -> Result<Vec<u8>, StepError> {
    let Some(file) = files.get(name).await? else {
        return Err(StepError::Unexpected(format!("the work bucket has no {name}")));
    };
    if hash_bytes(&file) != hash {
        return Err(StepError::Unexpected(format!("{name} in the work bucket was changed since it was written")));
    }
    Ok(file)
}

/// The name of a draft, with the hash of its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// How many calls have worked on the draft.
    calls: u32,
    /// When the last of them began.
    began: Timestamp,
    /// The hash of its file.
    hash: String,
}

impl Cursor {
    fn file(&self, id: &RestoreId, kind: &str) -> String {
        format!("restores/{id}/plan/{self}.{kind}")
    }
}

impl Display for Cursor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.calls, self.began.as_millisecond(), self.hash)
    }
}

impl FromStr for Cursor {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, StepError> {
        let mut parts = text.splitn(3, '-');
        let mut next = || parts.next().unwrap_or_default();
        let (calls, began, hash) = (next().parse(), next().parse().map(Timestamp::from_millisecond), next().to_owned());
        match (calls, began) {
            (Ok(calls), Ok(Ok(began))) => Ok(Self { calls, began, hash }),
            (Ok(_) | Err(_), Ok(Ok(_) | Err(_)) | Err(_)) => {
                Err(StepError::Unexpected(format!("{text:?} is no cursor of a plan")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::memory::MemoryFiles;
    use crate::testing::stack::now;

    fn id() -> RestoreId {
        RestoreId::try_from("r".to_owned()).unwrap()
    }

    #[tokio::test]
    async fn a_draft_is_read_as_it_was_written_and_not_when_it_was_changed() {
        let files = MemoryFiles::default();
        let draft = Draft { chunks: vec![7], ..Draft::new() };
        let cursor = draft.clone().write(&[1, u128::MAX], &id(), now(), &files).await.unwrap();
        let cursor: Cursor = cursor.to_string().parse().unwrap();
        let read = Draft::read(&cursor, &id(), &files).await.unwrap();
        assert_eq!((read.calls, &read.chunks), (1, &draft.chunks));
        assert_eq!(read.seen(&files).await.unwrap(), [1, u128::MAX].into());
        for name in files.names() {
            let mut file = files.get(&name).await.unwrap().unwrap();
            file.pop();
            files.put(&name, file).await.unwrap();
        }
        assert!(read.seen(&files).await.unwrap_err().to_string().contains("was changed"));
        assert!(Draft::read(&cursor, &id(), &files).await.unwrap_err().to_string().contains("was changed"));
    }

    #[test]
    fn another_text_is_no_cursor() {
        for text in ["", "1", "x-1-h", "1-x-h", "1-99999999999999999999-h", "1-999999999999999999-h"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
