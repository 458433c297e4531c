//! What a listing tells of objects that lie close together, where that costs less than to ask for each of them.

use std::collections::BTreeMap;

use thaw_core::ObjectId;

use crate::StepError;
use crate::archive::listing::{ListingPage, PageStart, Pages};
use crate::ports::{Listed, ReadArchive};

/// A listing costs as much as 12.5 `HeadObject` calls ($0.005 against $0.0004 per 1,000), so a page pays off when it
/// answers for more objects than that.
pub const OBJECTS_PER_PAGE_THAT_PAY: usize = 13;

/// Lists where keys are dense. Answers what the listing told, and the items that it did not look_up enough about.
///
/// `said` is what it means for an item how its object is listed; `None` is not enough. Of a version a listing tells only if
/// it is the newest.
pub async fn look_up<T, A>(
    items: Vec<T>,
    object: impl Fn(&T) -> &ObjectId,
    said: impl Fn(&T, &Listed) -> Option<A>,
    archive: &impl ReadArchive,
) -> Result<(Vec<(T, A)>, Vec<T>), StepError> {
    let mut listings: BTreeMap<Pages, Vec<T>> = BTreeMap::new();
    for item in items {
        let ObjectId { bucket, version, .. } = object(&item);
        let pages = Pages { bucket: bucket.clone(), versions: version.is_some() };
        listings.entry(pages).or_default().push(item);
    }
    let (mut told, mut unknown) = (Vec::new(), Vec::new());
    for (pages, mut items) in listings {
        items.sort_by(|a, b| object(a).cmp(object(b)));
        let (some, others) = list(&pages, items, &object, &said, archive).await?;
        told.extend(some);
        unknown.extend(others);
    }
    Ok((told, unknown))
}

/// One page is tried at the first key; while pages answer for enough objects to pay, the listing goes on.
async fn list<T, A>(
    pages: &Pages,
    items: Vec<T>,
    object: impl Fn(&T) -> &ObjectId,
    said: impl Fn(&T, &Listed) -> Option<A>,
    archive: &impl ReadArchive,
) -> Result<(Vec<(T, A)>, Vec<T>), StepError> {
    let (first, last) = match items.as_slice() {
        [first, .., last] if items.len() >= OBJECTS_PER_PAGE_THAT_PAY => (object(first), object(last)),
        _ => return Ok((Vec::new(), items)),
    };
    let prefix = common_prefix(&first.key, &last.key).to_owned();
    let (mut told, mut unknown) = (Vec::new(), Vec::new());
    let mut items = items.into_iter().peekable();
    let mut from = PageStart::after("");
    while let Some(first) = items.peek() {
        // S3 lists keys after a key; the key before ours is ours without its last character, or something smaller.
        let mut before = object(first).key.clone();
        before.pop();
        if from.key().is_some_and(|after| before.as_str() > after) {
            from = PageStart::after(&before);
        }
        let ListingPage { objects, next } = pages.after(&prefix, &from, archive).await?;
        let listed: BTreeMap<&str, &Listed> = objects.iter().map(|listed| (listed.key.as_str(), listed)).collect();
        let answer = |item: &T| {
            let ObjectId { key, version, .. } = object(item);
            let listed = listed.get(key.as_str()).filter(|listed| version.is_none() || *version == listed.version);
            said(item, listed?)
        };
        let mut answered = 0;
        // The current version of a key comes first, so it is here wherever among the versions the page ends. A page without a
        // key tells of nothing.
        let is_told = |item: &T| match &next {
            None => true,
            Some(next) => next.key().is_some_and(|last| object(item).key.as_str() <= last),
        };
        while let Some(item) = items.next_if(is_told) {
            match answer(&item) {
                Some(said) => {
                    answered += 1;
                    told.push((item, said));
                }
                None => unknown.push(item),
            }
        }
        match next {
            Some(next) if answered >= OBJECTS_PER_PAGE_THAT_PAY => from = next,
            Some(_) | None => break,
        }
    }
    unknown.extend(items);
    Ok((told, unknown))
}

fn common_prefix<'a>(first: &'a str, last: &str) -> &'a str {
    let same = first.char_indices().zip(last.chars()).find(|((_, a), b)| a != b);
    same.map_or(&first[..first.len().min(last.len())], |((at, _), _)| &first[..at])
}
