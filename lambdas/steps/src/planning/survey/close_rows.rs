//! Rows of a list that lie close together in the bucket are looked up by listing: a page of a thousand keys instead of a
//! question for each.
//!
//! A page costs as much as a dozen questions, and takes as long as some of them. So a listing goes on as long as its pages
//! have enough of the rows, and leaves more and more of them to be asked for one by one while they do not.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use thaw_core::RequestedObject;

use crate::StepError;
use crate::archive::listing::{PageStart, Pages};
use crate::planning::sources::SourceItem;
use crate::ports::{Listed, ReadArchive};

/// Rows of a page below which nothing is listed.
const FEW: usize = 100;

/// Rows that a page must answer: `ListObjectsV2` costs 12.5 times as much as `HeadObject`.
const CLOSE: usize = 16;

/// Places that are listed at once.
const LANES: usize = 8;

/// Rows that are left out after a page that answered too few, the first time; then twice as many each time.
const PATIENCE: usize = 64;

/// Puts what a listing shows in the place of what was asked for, where rows lie close together. What it does not show is left:
/// S3 says of each why it is not there.
pub(super) async fn look_up(
    objects: &mut [SourceItem],
    pages: &mut Option<Pages>,
    bucket: &str,
    archive: &impl ReadArchive,
) -> Result<(), StepError> {
    let mut keys: Vec<&str> = objects.iter().filter_map(asked).map(|asked| asked.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() < FEW {
        return Ok(());
    }
    let pages = match pages {
        Some(pages) => &*pages,
        None => {
            let versions = archive.has_versions(bucket).await?;
            pages.insert(Pages { bucket: bucket.to_owned(), versions })
        }
    };
    let lanes = keys.chunks(keys.len().div_ceil(LANES)).map(|keys| listed(keys, pages, archive));
    let shown: HashMap<String, Listed> =
        try_join_all(lanes).await?.into_iter().flatten().map(|listed| (listed.key.clone(), listed)).collect();
    for object in objects {
        let Some(RequestedObject { key, version_id }) = asked(object) else { continue };
        let Some(listed) = shown.get(key) else { continue };
        match version_id {
            None => *object = SourceItem::Listed(listed.clone()),
            // Without versions a listing does not tell which one it shows.
            Some(_) if !pages.versions => {}
            Some(version) if listed.version.as_deref() == Some(version) => *object = SourceItem::Listed(listed.clone()),
            Some(_) => {
                *object = SourceItem::OldVersion(RequestedObject { key: key.clone(), version_id: version_id.clone() });
            }
        }
    }
    Ok(())
}

fn asked(found: &SourceItem) -> Option<&RequestedObject> {
    match found {
        SourceItem::Asked(asked) => Some(asked),
        SourceItem::Listed(_) | SourceItem::Beside(_) | SourceItem::OldVersion(_) => None,
    }
}

/// What a listing shows of these keys, which are in order.
async fn listed(mut keys: &[&str], pages: &Pages, archive: &impl ReadArchive) -> Result<Vec<Listed>, StepError> {
    let (mut shown, mut patience) = (Vec::new(), PATIENCE);
    while let [first, ..] = keys
        && keys.len() >= CLOSE
    {
        let told = pages.after("", &PageStart::after(&just_before(first)), archive).await?;
        let covered = match told.next.as_ref().map(PageStart::key) {
            None => keys.len(),
            // Delete markers and older versions, as far as the page goes.
            Some(None) => 0,
            Some(Some(end)) => keys.partition_point(|key| *key <= end),
        };
        let (now, later) = keys.split_at(covered);
        shown.extend(told.objects.into_iter().filter(|listed| now.binary_search(&listed.key.as_str()).is_ok()));
        keys = later;
        if covered >= CLOSE {
            patience = PATIENCE;
        } else {
            keys = &keys[patience.min(keys.len())..];
            patience *= 2;
        }
    }
    Ok(shown)
}

/// A text before a key, and after nearly every key before it: a listing begins after a key, and with this one.
fn just_before(key: &str) -> String {
    let mut before = key.to_owned();
    let last = before.pop().unwrap_or_default();
    let previous = (0..u32::from(last)).next_back().and_then(char::from_u32);
    // A control character cannot stand in S3's answer, which repeats it.
    if let Some(previous) = previous.filter(|previous| !previous.is_control()) {
        before.push(previous);
        // The last character that is one.
        before.push('\u{10fffd}');
    }
    if before.len() > 1_024 {
        before.pop();
    }
    before
}

#[cfg(test)]
mod tests;
