//! Looks up rows of a manifest that are close together in the bucket by `ListObjectsV2`: one page of a thousand keys
//! instead of a `HeadObject` for each row.
//!
//! A page costs as much as a dozen `HeadObject` calls, and takes as long as some of them. So the listing continues as
//! long as its pages contain enough rows. After a page with too few rows it skips some rows, and each time more.
//! `HeadObject` is called for the skipped rows.

use std::collections::HashMap;

use futures_util::future::try_join_all;
use thaw_core::RequestedObject;

use crate::StepError;
use crate::archive::listing::{PageStart, Pages};
use crate::planning::sources::SourceItem;
use crate::ports::{Listed, ReadArchive};

/// Minimum of rows in a page of the manifest. With fewer rows nothing is listed.
const FEW: usize = 100;

/// Minimum of rows for which a listing page is worth its price: `ListObjectsV2` costs 12.5 times as much as
/// `HeadObject`.
const CLOSE: usize = 16;

/// Number of parallel listings.
const LANES: usize = 8;

/// Rows that are skipped after the first page with too few rows. The number doubles each time.
const PATIENCE: usize = 64;

/// Replaces requested objects by their listed state where rows are close together. Objects that the listing does not
/// show stay as they are: a later `HeadObject` returns why each is missing.
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
            // A listing without versions does not contain the id of the version that it shows.
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

/// The listed state of these keys, which are in order, as far as pages contain enough of them.
async fn listed(mut keys: &[&str], pages: &Pages, archive: &impl ReadArchive) -> Result<Vec<Listed>, StepError> {
    let (mut shown, mut patience) = (Vec::new(), PATIENCE);
    while let [first, ..] = keys
        && keys.len() >= CLOSE
    {
        let page = pages.after("", &PageStart::after(&just_before(first)), archive).await?;
        let covered = match page.next.as_ref().map(PageStart::key) {
            None => keys.len(),
            // The page has only delete markers and older versions.
            Some(None) => 0,
            Some(Some(end)) => keys.partition_point(|key| *key <= end),
        };
        let (now, later) = keys.split_at(covered);
        shown.extend(page.objects.into_iter().filter(|listed| now.binary_search(&listed.key.as_str()).is_ok()));
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

/// A text that sorts before a key and after nearly every smaller key. A listing that starts after this text begins with
/// the key.
fn just_before(key: &str) -> String {
    let mut before = key.to_owned();
    let last = before.pop().unwrap_or_default();
    let previous = (0..u32::from(last)).next_back().and_then(char::from_u32);
    // S3 repeats the text in its answer, which cannot contain a control character.
    if let Some(previous) = previous.filter(|previous| !previous.is_control()) {
        before.push(previous);
        // The last Unicode character that is not a noncharacter.
        before.push('\u{10fffd}');
    }
    if before.len() > 1_024 {
        before.pop();
    }
    before
}

#[cfg(test)]
mod tests;
