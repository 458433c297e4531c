//! Looks objects up in listings where they lie so close together that a page costs less than a request for each.

use std::collections::BTreeMap;

use thaw_core::ObjectId;

use crate::StepError;
use crate::archive::listing::{ListingPage, PageStart, Pages};
use crate::ports::{Listed, ReadArchive};

/// A page of a listing costs as much as 12.5 `HeadObject` calls ($0.005 against $0.0004 per 1,000), so it pays off if
/// it answers for more objects than that.
pub const OBJECTS_PER_PAGE_THAT_PAY: usize = 13;

/// Lists where keys are dense. Answers the items that a listing answered for, and the items that it did not.
///
/// `answer_of` is what an object in the listing means for an item; `None` means that it says too little. A listing of
/// versions only answers for the newest version of a key.
pub async fn look_up<T, A>(
    items: Vec<T>,
    object: impl Fn(&T) -> &ObjectId,
    answer_of: impl Fn(&T, &Listed) -> Option<A>,
    archive: &impl ReadArchive,
) -> Result<(Vec<(T, A)>, Vec<T>), StepError> {
    let mut listings: BTreeMap<Pages, Vec<T>> = BTreeMap::new();
    for item in items {
        let ObjectId { bucket, version, .. } = object(&item);
        let pages = Pages { bucket: bucket.clone(), versions: version.is_some() };
        listings.entry(pages).or_default().push(item);
    }
    let (mut answered, mut unknown) = (Vec::new(), Vec::new());
    for (pages, mut items) in listings {
        items.sort_by(|a, b| object(a).cmp(object(b)));
        let (more, others) = list(&pages, items, &object, &answer_of, archive).await?;
        answered.extend(more);
        unknown.extend(others);
    }
    Ok((answered, unknown))
}

/// Lists one page from the first key on, and goes on while pages answer for enough objects to pay off.
async fn list<T, A>(
    pages: &Pages,
    items: Vec<T>,
    object: impl Fn(&T) -> &ObjectId,
    answer_of: impl Fn(&T, &Listed) -> Option<A>,
    archive: &impl ReadArchive,
) -> Result<(Vec<(T, A)>, Vec<T>), StepError> {
    let (first, last) = match items.as_slice() {
        [first, .., last] if items.len() >= OBJECTS_PER_PAGE_THAT_PAY => (object(first), object(last)),
        _ => return Ok((Vec::new(), items)),
    };
    let prefix = common_prefix(&first.key, &last.key).to_owned();
    let (mut answered, mut unknown) = (Vec::new(), Vec::new());
    let mut items = items.into_iter().peekable();
    let mut from = PageStart::after("");
    while let Some(first) = items.peek() {
        // S3 lists the keys after a key. An item's key without its last character comes before it.
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
            answer_of(item, listed?)
        };
        let mut found = 0;
        // The current version of a key comes first, so a page has it even if it ends among the versions of that key. A
        // page without a key says nothing about any item.
        let is_covered = |item: &T| match &next {
            None => true,
            Some(next) => next.key().is_some_and(|last| object(item).key.as_str() <= last),
        };
        while let Some(item) = items.next_if(is_covered) {
            match answer(&item) {
                Some(answer) => {
                    found += 1;
                    answered.push((item, answer));
                }
                None => unknown.push(item),
            }
        }
        match next {
            Some(next) if found >= OBJECTS_PER_PAGE_THAT_PAY => from = next,
            Some(_) | None => break,
        }
    }
    unknown.extend(items);
    Ok((answered, unknown))
}

fn common_prefix<'a>(first: &'a str, last: &str) -> &'a str {
    let same = first.char_indices().zip(last.chars()).find(|((_, a), b)| a != b);
    same.map_or(&first[..first.len().min(last.len())], |((at, _), _)| &first[..at])
}
