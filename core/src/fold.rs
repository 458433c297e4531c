//! Replaces many exact paths by the fewest billed paths, with wildcards that cover no path of another object (or only a
//! limited number of readable ones).
//!
//! A billed path is an exact path or a wildcard (a beginning of paths, and `*`). Few wildcards need to be considered.
//! Of all wildcards that cover the same of our paths, the longest covers the fewest other paths. So there is one
//! candidate for each branching node of the trie of our paths, called a place here, and there are fewer places than
//! paths. Our paths are sorted, so paths with a common prefix are adjacent. One pass over the lengths of the common
//! prefixes of adjacent paths finds all places, inner ones before outer ones.

use std::cmp::Reverse;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

/// Memory limit of [`pack`] in bits (32 MiB) for its choices and rows. It limits the number of its steps too.
const CHOICES: usize = 1 << 28;

/// Maximum of knapsacks that are packed one after another. The next one uses the rest of `max_over` that the coarse
/// units of the one before left unused.
const KNAPSACKS: usize = 8;

/// The paths of other objects near our paths, from listings. Paths and prefixes are encoded as by
/// [`crate::encode_path`], and start with `/`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Neighbours<'a> {
    /// Prefixes that are listed completely: every path that a viewer can request under one of them is among our paths
    /// or the neighbours. A wildcard may be as short as the prefix, not shorter. In any order. A literal `*` at the end
    /// of a prefix is not escaped.
    pub listed: &'a [&'a str],
    /// Paths of objects that cannot be read now. They are never covered, because an edge location that drops its cached
    /// answer could not fetch the object again. Sorted, without duplicates.
    pub archived: &'a [&'a str],
    /// Paths of objects that can be read. Each one that is covered counts against `max_over`, because its next viewer
    /// waits for the origin. Sorted, without duplicates.
    pub readable: &'a [&'a str],
}

/// The exact paths and wildcards to invalidate instead of the paths.
#[derive(Debug, Clone)]
pub struct Fold<'a> {
    paths: &'a [&'a str],
    /// In the order of the paths; no wildcard lies inside another.
    wildcards: Vec<Wildcard>,
}

/// One billed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    /// The path, or the wildcard without its `*`.
    stem: &'a str,
    /// Whether a `*` follows.
    is_wildcard: bool,
    /// The indices of the given paths that it covers.
    pub covers: Range<usize>,
}

/// The error for paths or neighbours that are not sorted in the order of `str`, or have duplicates.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{list} must be sorted and different from each other: {path:?} stands after {before:?}")]
pub struct Unsorted {
    /// Which list.
    pub list: &'static str,
    /// The first path that is out of place.
    pub path: String,
    /// The one before it.
    pub before: String,
}

/// A wildcard over a range of adjacent paths.
#[derive(Debug, Clone, Copy)]
struct Wildcard {
    /// The index of the first path, and the index after the last.
    start: usize,
    end: usize,
    /// The length of the stem (the part before the `*`) in bytes.
    length: usize,
    /// The number of readable neighbours that it covers.
    over: usize,
}

/// Replaces paths (sorted, without duplicates) by the fewest billed paths that cover all of them.
///
/// No wildcard covers an archived neighbour, all wildcards together cover at most `max_over` readable ones, and each
/// lies inside a listed prefix. Among the solutions with the fewest billed paths, the result covers the fewest
/// neighbours, and among those it has the fewest wildcards.
///
/// A wildcard ends after a whole character, never inside `%C3%BC`, and never after a literal `*`: whether CloudFront
/// treats `/a%2A` and `/a*` as the same path is not documented. A given path that is a wildcard stays, or is replaced
/// by a shorter wildcard. It needs no listing, the neighbours that it covers are not counted, and the paths under it
/// cost nothing.
///
/// With `max_over = 0` the result is exact, and the time is linear in the bytes of the paths and neighbours. Otherwise
/// it is exact as long as `max_over`, times the number of places where a wildcard would cover a neighbour, stays under
/// 2²⁸ (less where places are deeply nested), or `max_over` is at least the number of neighbours that wildcards can
/// cover. Beyond that, neighbours are counted in larger units, rounded up, and in smaller units as long as there is
/// room. The limit still holds, but a solution with fewer billed paths may exist.
///
/// ```
/// use thaw_core::{Neighbours, fold};
/// let neighbours = Neighbours { listed: &["/2019/"], archived: &["/2019/b/3"], readable: &[] };
/// let folded = fold(&["/2019/a/1", "/2019/a/2", "/2019/b/1"], &neighbours, 0)?;
/// let items: Vec<_> = folded.items().map(|item| item.to_string()).collect();
/// assert_eq!(items, ["/2019/a/*", "/2019/b/1"]);
/// # Ok::<(), thaw_core::Unsorted>(())
/// ```
///
/// # Errors
///
/// [`Unsorted`] if the paths or the neighbours are not sorted or have duplicates.
pub fn fold<'a>(paths: &'a [&'a str], neighbours: &Neighbours<'_>, max_over: u32) -> Result<Fold<'a>, Unsorted> {
    fold_with(paths, neighbours, max_over, CHOICES)
}

fn fold_with<'a>(
    paths: &'a [&'a str],
    neighbours: &Neighbours<'_>,
    max_over: u32,
    choices: usize,
) -> Result<Fold<'a>, Unsorted> {
    check_order("paths", paths)?;
    check_order("archived", neighbours.archived)?;
    check_order("readable", neighbours.readable)?;
    let Places { free, costly } = Places::of(paths, neighbours, max_over as usize);
    let chosen = choose(&free, costly, max_over as usize, choices);
    let is_inside = |inner: &Wildcard| {
        let next = chosen.partition_point(|outer| outer.end <= inner.start);
        chosen.get(next).is_some_and(|outer| outer.start <= inner.start)
    };
    let mut wildcards = free;
    wildcards.retain(|wildcard| !is_inside(wildcard));
    wildcards.extend(chosen);
    wildcards.sort_unstable_by_key(|wildcard| wildcard.start);
    Ok(Fold { paths, wildcards })
}

impl<'a> Fold<'a> {
    /// The billed paths, in the order of the paths.
    pub fn items(&self) -> impl Iterator<Item = Item<'a>> {
        let (paths, mut next) = (self.paths, 0);
        let mut wildcards = self.wildcards.iter().peekable();
        std::iter::from_fn(move || {
            let item = if let Some(wildcard) = wildcards.next_if(|wildcard| wildcard.start == next) {
                let stem = &paths[next][..wildcard.length];
                Item { stem, is_wildcard: true, covers: wildcard.start..wildcard.end }
            } else {
                Item { stem: paths.get(next)?, is_wildcard: false, covers: next..next + 1 }
            };
            next = item.covers.end;
            Some(item)
        })
    }

    /// How many paths are billed.
    pub fn billed(&self) -> usize {
        self.paths.len() - self.wildcards.iter().map(Wildcard::saves).sum::<usize>()
    }

    /// How many billed paths are wildcards.
    pub fn wildcards(&self) -> usize {
        self.wildcards.len()
    }

    /// How many readable neighbours the wildcards cover.
    pub fn over(&self) -> usize {
        self.wildcards.iter().map(|wildcard| wildcard.over).sum()
    }
}

impl Item<'_> {
    /// Whether it is a wildcard, which may cover more than one path.
    pub fn is_wildcard(&self) -> bool {
        self.is_wildcard
    }
}

/// The path as it stands in an invalidation.
impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stem)?;
        f.write_str(if self.is_wildcard { "*" } else { "" })
    }
}

impl Wildcard {
    /// How many billed paths it saves against its exact paths.
    fn saves(&self) -> usize {
        self.end - self.start - 1
    }
}

fn check_order(list: &'static str, paths: &[&str]) -> Result<(), Unsorted> {
    match paths.array_windows().find(|[before, path]| before >= path) {
        None => Ok(()),
        Some([before, path]) => Err(Unsorted { list, path: (*path).to_owned(), before: (*before).to_owned() }),
    }
}

/// The places: the wildcards that are considered.
#[derive(Default)]
struct Places {
    /// Places that cover no neighbour, in order, none inside another. A place always has two paths or more, so an outer
    /// place is always cheaper than the places inside it.
    free: Vec<Wildcard>,
    /// Places that cover some readable neighbours, inner ones first.
    costly: Vec<Wildcard>,
}

/// A place whose last path is not known yet.
struct Open {
    /// The length of the common prefix of its paths in bytes.
    depth: usize,
    first: First,
}

/// The first path of a place.
#[derive(Clone)]
struct First {
    path: usize,
    before: Gap,
}

/// The neighbours between a path of ours and the next.
#[derive(Clone, Default)]
struct Gap {
    archived: Range<usize>,
    readable: Range<usize>,
}

impl Places {
    fn of(paths: &[&str], neighbours: &Neighbours<'_>, max_over: usize) -> Self {
        let listed = outermost(neighbours.listed);
        let mut places = Self::default();
        let mut open: Vec<Open> = Vec::new();
        // The given paths that are wildcards, until the place whose paths they cover is closed.
        let mut given: Vec<usize> = Vec::new();
        let mut first = First { path: 0, before: Gap::default() };
        for (end, next) in paths.iter().map(|path| Some(*path)).chain([None]).enumerate() {
            let after = first.before.next(neighbours, next);
            let shared = match next {
                Some(next) if end > 0 => common(paths[end - 1], next),
                Some(_) | None => 0,
            };
            let this = First { path: end, before: after.clone() };
            while let Some(place) = open.pop_if(|place| place.depth > shared) {
                first = place.first;
                let ends = open.last().map_or(0, |outer| outer.depth).max(shared) + 1..=place.depth;
                let here = Wildcard { start: first.path, end, length: 0, over: 0 };
                if let Some(length) = take_given(paths, &mut given, first.path, &ends) {
                    places.add(Wildcard { length, ..here }, max_over);
                } else if let Some(length) = end_of_wildcard(paths[first.path], ends, &listed) {
                    let stem = &paths[first.path][..length];
                    if covered(neighbours.archived, &first.before.archived, &after.archived, stem) == 0 {
                        let over = covered(neighbours.readable, &first.before.readable, &after.readable, stem);
                        places.add(Wildcard { length, over, ..here }, max_over);
                    }
                }
            }
            if shared > open.last().map_or(0, |outer| outer.depth) {
                open.push(Open { depth: shared, first });
            }
            if let Some(stem) = next.and_then(|next| next.strip_suffix('*')) {
                given.push(end);
                places.free.push(Wildcard { start: end, end: end + 1, length: stem.len(), over: 0 });
            }
            first = this;
        }
        places
    }

    fn add(&mut self, wildcard: Wildcard, max_over: usize) {
        if wildcard.over == 0 {
            while self.free.pop_if(|inner| inner.start >= wildcard.start).is_some() {}
            while self.costly.pop_if(|inner| inner.start >= wildcard.start).is_some() {}
            self.free.push(wildcard);
        } else if wildcard.over <= max_over {
            self.costly.push(wildcard);
        }
    }
}

impl Gap {
    /// The neighbours after this gap and before `path`; all that are left if there is no next path.
    fn next(&self, neighbours: &Neighbours<'_>, path: Option<&str>) -> Self {
        let next = |list: &[&str], last: &Range<usize>| {
            let is_before = |one: &&&str| path.is_none_or(|path| **one < path);
            last.end..last.end + list[last.end..].iter().take_while(is_before).count()
        };
        Self {
            archived: next(neighbours.archived, &self.archived),
            readable: next(neighbours.readable, &self.readable),
        }
    }
}

/// How many neighbours a wildcard covers, given the gaps before its first path and after its last.
fn covered(list: &[&str], before: &Range<usize>, after: &Range<usize>, stem: &str) -> usize {
    let start = before.start + list[before.clone()].partition_point(|one| *one < stem);
    let end = after.start + list[after.clone()].partition_point(|one| one.starts_with(stem));
    end - start
}

/// The length of the shortest stem of the given wildcards from path `first` on whose stems end in this range. Removes
/// these wildcards from `given`, and those with longer stems, which cover no other path.
fn take_given(paths: &[&str], given: &mut Vec<usize>, first: usize, ends: &RangeInclusive<usize>) -> Option<usize> {
    let length = |place: &usize| paths[*place].len() - 1;
    let here = given.partition_point(|place| *place < first);
    let shortest = given[here..].iter().map(length).filter(|length| ends.contains(length)).min();
    let mut left = given.split_off(here);
    left.retain(|place| length(place) < *ends.start());
    given.append(&mut left);
    shortest
}

/// The greatest allowed length for the stem of a wildcard that covers the paths of a place; `None` if no length is
/// allowed.
fn end_of_wildcard(path: &str, ends: RangeInclusive<usize>, listed: &[&str]) -> Option<usize> {
    let next = listed.partition_point(|prefix| *prefix <= path);
    let prefix = listed[..next].last().filter(|prefix| path.starts_with(**prefix))?;
    (prefix.len().max(*ends.start())..=*ends.end()).rev().find(|end| may_end(path, *end))
}

/// Whether a wildcard may have the first `end` bytes of an encoded path as its stem.
pub(crate) fn may_end(path: &str, end: usize) -> bool {
    if !path.is_char_boundary(end) {
        return false;
    }
    let stem = &path.as_bytes()[..end];
    match stem {
        [.., b'*' | b'%'] | [.., b'%', _] => false,
        [.., b'%', _, _] => {
            // Reads the last character backwards: its UTF-8 continuation bytes, and the first byte, which has the
            // length.
            let is_continuation = |byte: u8| (0x80..0xC0).contains(&byte);
            let first = stem.rchunks(3).map_while(escaped).enumerate().find(|(_, byte)| !is_continuation(*byte));
            first.is_some_and(|(behind, byte)| byte.leading_ones().max(1) as usize == behind + 1)
        }
        _ => true,
    }
}

/// The byte that `%XX` stands for.
fn escaped(escape: &[u8]) -> Option<u8> {
    let [b'%', digits @ ..] = escape else { return None };
    u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// The length of the common prefix of two paths in bytes.
pub(crate) fn common(one: &str, other: &str) -> usize {
    // First block by block, which is many times faster than byte by byte.
    const BLOCK: usize = 32;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let blocks = one.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK)).take_while(|(one, other)| one == other);
    let start = blocks.count() * BLOCK;
    start + one[start..].iter().zip(&other[start..]).take_while(|(one, other)| one == other).count()
}

/// The prefixes, sorted, without those that begin with another one.
fn outermost<'a>(prefixes: &[&'a str]) -> Vec<&'a str> {
    let mut sorted = prefixes.to_vec();
    sorted.sort_unstable();
    sorted.dedup_by(|inner, outer| inner.starts_with(*outer));
    sorted
}

/// The costly places that save the most and together cover at most `max_over` neighbours, in order.
fn choose(free: &[Wildcard], mut costly: Vec<Wildcard>, max_over: usize, choices: usize) -> Vec<Wildcard> {
    let (mut chosen, mut left): (Vec<Wildcard>, usize) = (Vec::new(), max_over);
    for _ in 0..KNAPSACKS {
        let (packed, is_exact) = pack(free, &costly, left, choices);
        left -= packed.iter().map(|place| place.over).sum::<usize>();
        let is_disjoint = |place: &Wildcard| {
            let next = packed.partition_point(|one| one.end <= place.start);
            packed.get(next).is_none_or(|one| place.end <= one.start)
        };
        costly.retain(|place| place.over <= left && is_disjoint(place));
        chosen.extend(packed);
        if is_exact {
            break;
        }
    }
    chosen.sort_unstable_by_key(|place| place.start);
    chosen
}

/// Solves the knapsack problem for nested places: no chosen place lies inside another. Returns the chosen places in
/// order, and whether the solution is exact.
///
/// Places are closed from left to right, inner ones first. `row[m]` is the most that can be saved by the places closed
/// so far if they cover `m` neighbours at most. When a place is closed, it is left out, or it is taken together with
/// the best saving before it was opened: `row[m] = max(row[m], before[m - over] + saving)`.
fn pack(free: &[Wildcard], costly: &[Wildcard], max_over: usize, choices: usize) -> (Vec<Wildcard>, bool) {
    let mut outermost = Vec::new();
    for place in costly.iter().rev() {
        if outermost.last().is_none_or(|outer: &Wildcard| place.end <= outer.start) {
            outermost.push(*place);
        }
    }
    outermost.reverse();
    if outermost.iter().map(|place| place.over).sum::<usize>() <= max_over {
        return (outermost, true);
    }

    let mut from_outside: Vec<usize> = (0..costly.len()).collect();
    from_outside.sort_unstable_by_key(|index| (costly[*index].start, Reverse(costly[*index].end)));
    let columns = choices / (costly.len() + 64 * deepest(costly, &from_outside));
    let unit = max_over.div_ceil(columns.max(2) - 1);
    let units = |place: &Wildcard| place.over.div_ceil(unit);
    let most = max_over / unit;
    let savings = savings(free, costly);

    let mut row = Rc::new(vec![0; most + 1]);
    let mut taken = Bits::new(costly.len() * (most + 1));
    let mut open: Vec<(usize, Rc<Vec<i64>>)> = Vec::new();
    for next in from_outside.into_iter().map(Some).chain([None]) {
        let is_closed = |index: usize| next.is_none_or(|next| costly[index].end <= costly[next].start);
        while let Some((index, before)) = open.pop_if(|(index, _)| is_closed(*index)) {
            let (units, bits) = (units(&costly[index]), index * (most + 1));
            let cells = Rc::make_mut(&mut row).iter_mut().enumerate().skip(units);
            for ((m, cell), before) in cells.zip(before.iter()) {
                let with = before + savings[index];
                if with > *cell {
                    *cell = with;
                    taken.set(bits + m);
                }
            }
        }
        open.extend(next.map(|next| (next, Rc::clone(&row))));
    }

    let mut m = row.partition_point(|saving| saved_paths(*saving) < saved_paths(row[most]));
    let mut chosen: Vec<Wildcard> = Vec::new();
    for (index, place) in costly.iter().enumerate().rev() {
        let is_next = chosen.last().is_none_or(|right| place.end <= right.start);
        if is_next && taken.get(index * (most + 1) + m) {
            chosen.push(*place);
            m -= units(place);
        }
    }
    chosen.reverse();
    (chosen, unit == 1)
}

/// The greatest nesting depth of the places.
fn deepest(places: &[Wildcard], from_outside: &[usize]) -> usize {
    let (mut ends, mut deepest): (Vec<usize>, usize) = (Vec::new(), 0);
    for place in from_outside.iter().map(|index| &places[*index]) {
        while ends.pop_if(|end| *end <= place.start).is_some() {}
        ends.push(place.end);
        deepest = deepest.max(ends.len());
    }
    deepest
}

/// The saving of each costly place against the free wildcards and exact paths inside it: billed paths times 2³², plus
/// wildcards. Such savings can be added, and one path counts more than any number of wildcards.
fn savings(free: &[Wildcard], costly: &[Wildcard]) -> Vec<i64> {
    let saved: Vec<usize> = std::iter::once(0)
        .chain(free.iter().scan(0, |sum, wildcard| {
            *sum += wildcard.saves();
            Some(*sum)
        }))
        .collect();
    let saving = |place: &Wildcard| {
        let [first, last] = [place.start, place.end].map(|at| free.partition_point(|inner| inner.start < at));
        let paths = place.saves() - (saved[last] - saved[first]);
        ((paths as i64) << 32) + (last - first) as i64 - 1
    };
    costly.iter().map(saving).collect()
}

/// The billed paths in a saving. Rounded, because the wildcards in it may be negative.
fn saved_paths(saving: i64) -> i64 {
    (saving + (1 << 31)) >> 32
}

struct Bits(Vec<u64>);

impl Bits {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn set(&mut self, bit: usize) {
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn get(&self, bit: usize) -> bool {
        self.0[bit / 64] & 1 << (bit % 64) != 0
    }
}

#[cfg(test)]
mod tests;
