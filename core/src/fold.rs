//! Many exact paths as fewer wildcards: the fewest billed paths that touch nothing else.
//!
//! A billed path is an exact path, or a wildcard: what paths begin with, and `*`. The wildcards that are worth a thought
//! are few. Of all that cover the same of our paths, the longest covers the least else; so there is one for each place
//! where our paths, read as a tree of letters, part: fewer than there are paths. Our paths are sorted, so those that
//! begin alike stand together, and one walk over how much neighbours have in common finds all places, inner before outer.

use std::cmp::Reverse;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::rc::Rc;

/// Bits for the choices and rows of [`pack`], which are also its steps: 32 MiB.
const CHOICES: usize = 1 << 28;

/// Knapsacks that are packed one after another, when neighbours must be counted in dozens and room is left.
const KNAPSACKS: usize = 8;

/// What a listing knows about the neighbourhood of the paths. Paths and prefixes are encoded, as [`crate::encode_path`]
/// does it, and start with `/`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Neighbours<'a> {
    /// Everything that a viewer can ask for under one of these prefixes is among our paths or the neighbours. A wildcard
    /// may be as short as the prefix, not shorter. In any order. A prefix that ends in a literal `*` ends in it here too.
    pub listed: &'a [&'a str],
    /// Never covered: paths of objects that cannot be read now, so that an edge that forgot them has nothing to show. Sorted,
    /// none twice.
    pub archived: &'a [&'a str],
    /// Each one that is covered counts against `max_over`: its next viewer waits for the origin. Sorted, none twice.
    pub readable: &'a [&'a str],
}

/// What CloudFront is to be asked for instead of the paths.
#[derive(Debug, Clone)]
pub struct Fold<'a> {
    paths: &'a [&'a str],
    /// In the order of the paths, none inside another.
    wildcards: Vec<Wildcard>,
}

/// One billed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<'a> {
    /// The path, or what the paths of a wildcard begin with.
    stem: &'a str,
    /// Whether a `*` follows.
    is_wildcard: bool,
    /// Which of the paths that were given it stands for, by their places.
    pub covers: Range<usize>,
}

/// Paths or neighbours that are not sorted as `str` sorts, or stand there twice.
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

/// Paths that begin alike.
#[derive(Debug, Clone, Copy)]
struct Wildcard {
    /// The places of the first path and behind the last.
    start: usize,
    end: usize,
    /// How many bytes of them precede the `*`.
    length: usize,
    /// The readable neighbours that begin so too.
    over: usize,
}

/// Replaces paths (sorted, none twice) by the fewest billed paths that cover all of them.
///
/// No wildcard covers an archived neighbour, all of them together cover at most `max_over` readable ones, and each lies
/// inside a listed prefix. Among the answers with the fewest billed paths it is the one that covers the fewest neighbours,
/// and among those one with the fewest wildcards.
///
/// A wildcard ends behind a whole character, never inside `%C3%BC`, and never behind a literal `*`: whether CloudFront
/// takes `/a%2A` and `/a*` for the same path is not documented. A path that is a wildcard already stays one, or vanishes in
/// a shorter one. It needs no listing, what else it covers is not counted, and the paths under it cost nothing more.
///
/// With `max_over = 0` this is exact, and linear in the bytes of the paths and neighbours. Otherwise it is exact as long as
/// `max_over`, times the places where a wildcard would cover a neighbour, stays under 2²⁸ (less where the places lie deeply
/// inside each other), or `max_over` allows for all that wildcards can cover. Beyond that, neighbours are counted in
/// dozens, rounded up, and in smaller ones as long as there is room: the limit holds, but there may be an answer with fewer
/// billed paths.
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
/// [`Unsorted`]: nothing can be said about paths in another order.
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
    /// What to ask for, in the order of the paths.
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

    /// How many of them are wildcards.
    pub fn wildcards(&self) -> usize {
        self.wildcards.len()
    }

    /// How many readable neighbours they cover.
    pub fn over(&self) -> usize {
        self.wildcards.iter().map(|wildcard| wildcard.over).sum()
    }
}

impl Item<'_> {
    /// Whether it may stand for more than one path.
    pub fn is_wildcard(&self) -> bool {
        self.is_wildcard
    }
}

/// As CloudFront wants it.
impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stem)?;
        f.write_str(if self.is_wildcard { "*" } else { "" })
    }
}

impl Wildcard {
    /// How many billed paths it is cheaper than its exact paths.
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

/// The places where a wildcard may stand.
#[derive(Default)]
struct Places {
    /// Those that cover no neighbour, in order, none inside another. A place always has two paths or more, so the outer
    /// one is always cheaper than what is inside.
    free: Vec<Wildcard>,
    /// Those that cover some readable neighbours, inner ones first.
    costly: Vec<Wildcard>,
}

/// A place of which not all paths are known yet.
struct Open {
    /// How many bytes its paths have in common.
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
        // Paths that are wildcards already, as long as it is unknown what else they cover.
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
    /// The neighbours from here to the next path; all that are left if there is none.
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

/// How many neighbours a wildcard covers, given those before its first path and after its last.
fn covered(list: &[&str], before: &Range<usize>, after: &Range<usize>, stem: &str) -> usize {
    let start = before.start + list[before.clone()].partition_point(|one| *one < stem);
    let end = after.start + list[after.clone()].partition_point(|one| one.starts_with(stem));
    end - start
}

/// The shortest stem of the paths from `first` on that are wildcards already and whose stems end in this range. They, and
/// those that cover nothing else, are settled.
fn take_given(paths: &[&str], given: &mut Vec<usize>, first: usize, ends: &RangeInclusive<usize>) -> Option<usize> {
    let length = |place: &usize| paths[*place].len() - 1;
    let here = given.partition_point(|place| *place < first);
    let shortest = given[here..].iter().map(length).filter(|length| ends.contains(length)).min();
    let mut left = given.split_off(here);
    left.retain(|place| length(place) < *ends.start());
    given.append(&mut left);
    shortest
}

/// How long the stem of a wildcard may be that covers the paths of a place: as long as possible.
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
            // The last character's bytes from behind: those that go on, and the one that says how many there are.
            let goes_on = |byte: u8| (0x80..0xC0).contains(&byte);
            let first = stem.rchunks(3).map_while(escaped).enumerate().find(|(_, byte)| !goes_on(*byte));
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

/// How many bytes two paths have in common at their beginnings.
pub(crate) fn common(one: &str, other: &str) -> usize {
    // Long ones block by block: comparing memory is many times faster than comparing bytes.
    const BLOCK: usize = 32;
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let blocks = one.chunks_exact(BLOCK).zip(other.chunks_exact(BLOCK)).take_while(|(one, other)| one == other);
    let start = blocks.count() * BLOCK;
    start + one[start..].iter().zip(&other[start..]).take_while(|(one, other)| one == other).count()
}

/// The prefixes without those that lie inside another, sorted.
fn outermost<'a>(prefixes: &[&'a str]) -> Vec<&'a str> {
    let mut sorted = prefixes.to_vec();
    sorted.sort_unstable();
    sorted.dedup_by(|inner, outer| inner.starts_with(*outer));
    sorted
}

/// Those of the costly places that save the most and together cover no more than they may, in order.
fn choose(free: &[Wildcard], mut costly: Vec<Wildcard>, max_over: usize, choices: usize) -> Vec<Wildcard> {
    let (mut chosen, mut left): (Vec<Wildcard>, usize) = (Vec::new(), max_over);
    for _ in 0..KNAPSACKS {
        let (packed, is_exact) = pack(free, &costly, left, choices);
        left -= packed.iter().map(|place| place.over).sum::<usize>();
        let is_beside = |place: &Wildcard| {
            let next = packed.partition_point(|one| one.end <= place.start);
            packed.get(next).is_none_or(|one| place.end <= one.start)
        };
        costly.retain(|place| place.over <= left && is_beside(place));
        chosen.extend(packed);
        if is_exact {
            break;
        }
    }
    chosen.sort_unstable_by_key(|place| place.start);
    chosen
}

/// A knapsack in which nothing fits inside what is taken. In order; and whether no other packing is better.
///
/// Places are closed from left to right, inner ones first. `row[m]` is the most that can be saved by the places closed so
/// far if they cover `m` neighbours at most. When a place is closed, it is left out, or it is taken together with what
/// could be saved before it was opened: `row[m] = max(row[m], before[m - over] + saving)`.
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

/// How many places lie inside each other at most.
fn deepest(places: &[Wildcard], from_outside: &[usize]) -> usize {
    let (mut ends, mut deepest): (Vec<usize>, usize) = (Vec::new(), 0);
    for place in from_outside.iter().map(|index| &places[*index]) {
        while ends.pop_if(|end| *end <= place.start).is_some() {}
        ends.push(place.end);
        deepest = deepest.max(ends.len());
    }
    deepest
}

/// What each costly place saves against the free wildcards and exact paths inside it: billed paths times 2³², and
/// wildcards. So savings add up, and more paths always count more than more wildcards.
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

/// The billed paths in a saving. The wildcards may be fewer than none.
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
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::btree_set;
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

    use super::*;
    use crate::encode_path;

    fn strs<S: AsRef<str>>(list: &[S]) -> Vec<&str> {
        list.iter().map(AsRef::as_ref).collect()
    }

    fn items(folded: &Fold<'_>) -> Vec<String> {
        folded.items().map(|item| item.to_string()).collect()
    }

    /// Folds with everything listed.
    #[track_caller]
    fn check(paths: &[&str], archived: &[&str], readable: &[&str], max_over: u32, expected: &[&str]) {
        let neighbours = Neighbours { listed: &["/"], archived, readable };
        assert_eq!(items(&fold(paths, &neighbours, max_over).unwrap()), expected);
    }

    #[test]
    fn nothing_is_folded_to_nothing() {
        check(&[], &["/a"], &["/b"], 9, &[]);
    }

    #[test]
    fn one_path_stays_as_it_is() {
        check(&["/a"], &[], &[], 0, &["/a"]);
    }

    #[test]
    fn paths_that_nothing_else_begins_like_become_one_wildcard() {
        check(&["/a/1", "/a/2", "/b"], &[], &[], 0, &["/*"]);
        check(&["/a/1", "/a/2", "/b"], &["/c"], &[], 0, &["/a/*", "/b"]);
        // A path that others begin with.
        check(&["/a", "/a/1"], &["/b"], &[], 0, &["/a*"]);
    }

    #[test]
    fn a_wildcard_ends_as_far_behind_as_it_can() {
        check(&["/photo-1", "/photo-2"], &[], &["/phone"], 0, &["/photo-*"]);
    }

    #[test]
    fn an_archived_neighbour_is_never_covered() {
        for archived in ["/a/0", "/a/15", "/a/3"] {
            check(&["/a/1", "/a/2"], &[archived], &[], 9, &["/a/1", "/a/2"]);
        }
        check(&["/a/1", "/a/2"], &["/a", "/b"], &[], 9, &["/a/*"]);
    }

    #[test]
    fn readable_neighbours_are_covered_within_the_limit() {
        let (paths, readable) = (["/a/1", "/a/2", "/b/1", "/b/2", "/b/3"], ["/a/3", "/b/4", "/b/5", "/c"]);
        check(&paths, &[], &readable, 0, &paths);
        check(&paths, &[], &readable, 1, &["/a/*", "/b/1", "/b/2", "/b/3"]);
        check(&paths, &[], &readable, 2, &["/a/1", "/a/2", "/b/*"]);
        check(&paths, &[], &readable, 3, &["/a/*", "/b/*"]);
        check(&paths, &[], &readable, 4, &["/*"]);
    }

    #[test]
    fn what_a_wildcard_saves_is_counted_against_those_inside_it() {
        // `/a/*` saves one path more than `/a/x*`, which is free; `/c/*` saves two.
        let paths = ["/a/x1", "/a/x2", "/a/y", "/c/1", "/c/2", "/c/3"];
        check(&paths, &["/b"], &["/a/z", "/c/4"], 1, &["/a/x*", "/a/y", "/c/*"]);
    }

    #[test]
    fn of_equal_savings_those_with_fewer_wildcards_are_taken() {
        let paths = ["/a/1", "/a/2", "/a/3", "/b/1", "/b/2", "/c/1", "/c/2"];
        let readable = ["/a/4", "/a/5", "/b/3", "/c/3"];
        check(&paths, &["/d"], &readable, 2, &["/a/*", "/b/1", "/b/2", "/c/1", "/c/2"]);
    }

    #[test]
    fn a_wildcard_lies_inside_a_listed_prefix() {
        let paths = ["/a/b1", "/a/b2", "/c/1", "/c/2"];
        for (listed, expected) in [
            (&[][..], &paths[..]),
            (&["/a/"], &["/a/b*", "/c/1", "/c/2"]),
            (&["/a/b"], &["/a/b*", "/c/1", "/c/2"]),
            (&["/a/b1", "/c/"], &["/a/b1", "/a/b2", "/c/*"]),
            (&["/c/", "/a/", "/a/b"], &["/a/b*", "/c/*"]),
            (&["/"], &["/*"]),
            (&[""], &["/*"]),
        ] {
            let neighbours = Neighbours { listed, ..Neighbours::default() };
            assert_eq!(items(&fold(&paths, &neighbours, 0).unwrap()), expected, "{listed:?}");
        }
    }

    #[test]
    fn a_wildcard_ends_behind_a_whole_character() {
        // ü is C3 BC, é is C3 A9; € is E2 82 AC, ₭ is E2 82 AD; the two faces differ in their fourth byte.
        for [one, other] in [["ü", "é"], ["€", "₭"], ["😀", "😁"], ["%", "#"]] {
            let paths = [format!("/x{}", encode_path(one)), format!("/x{}", encode_path(other))];
            let paths = BTreeSet::from(paths).into_iter().collect::<Vec<_>>();
            check(&strs(&paths), &["/w"], &[], 0, &["/x*"]);
            check(&strs(&paths), &["/xy"], &[], 0, &strs(&paths));
        }
        check(&["/%C3%BC1", "/%C3%BC2"], &["/z"], &[], 0, &["/%C3%BC*"]);
        check(&["/%F0%9F%98%801", "/%F0%9F%98%802"], &["/z"], &[], 0, &["/%F0%9F%98%80*"]);
        check(&["/%251", "/%252"], &["/z"], &[], 0, &["/%25*"]);
        // Not encoded.
        check(&["/é", "/ü"], &["/z"], &[], 0, &["/é", "/ü"]);
        check(&["/ü1", "/ü2"], &["/z"], &[], 0, &["/ü*"]);
        // Not UTF-8.
        check(&["/%BC1", "/%BC2"], &["/z"], &[], 0, &["/%BC1", "/%BC2"]);
        check(&["/%C31", "/%C32"], &["/z"], &[], 0, &["/%C31", "/%C32"]);
    }

    #[test]
    fn a_wildcard_never_ends_behind_a_literal_star() {
        check(&["/a*b", "/a*c"], &["/b"], &[], 0, &["/a*"]);
        // The key `a*`.
        check(&["/a*b", "/a*c"], &["/a%2A"], &[], 0, &["/a*b", "/a*c"]);
        check(&["/a*b1", "/a*b2"], &["/a%2A"], &[], 0, &["/a*b*"]);
    }

    #[test]
    fn paths_that_are_wildcards_already_take_those_under_them_along() {
        // The key `note.txt~` can only be invalidated so.
        check(&["/note.txt", "/note.txt*", "/z"], &["/y"], &[], 0, &["/note.txt*", "/z"]);
        // What it covers beside is not ours to judge.
        check(&["/a*", "/ab"], &["/ac"], &["/ad"], 0, &["/a*"]);
        check(&["/a*", "/a*b", "/ac"], &["/ad"], &[], 0, &["/a*"]);
        check(&["/a%2A", "/a*", "/a*b"], &["/ad"], &[], 0, &["/a*"]);
        check(&["/a*", "/ab*", "/abc"], &["/ad"], &[], 0, &["/a*"]);
        check(&["/a**", "/a*b"], &["/a%2A"], &[], 0, &["/a**"]);
        // A shorter one takes them along.
        check(&["/a*", "/b"], &[], &[], 0, &["/*"]);
        check(&["/a*", "/b"], &["/c"], &[], 0, &["/a*", "/b"]);
    }

    #[test]
    fn items_say_which_paths_they_stand_for_and_are_counted() {
        let paths = ["/a", "/b/1", "/b/2", "/b/3", "/c", "/d/1", "/d/2", "/e*"];
        let neighbours = Neighbours { listed: &["/b/", "/d/"], archived: &[], readable: &["/d/3"] };
        let folded = fold(&paths, &neighbours, 1).unwrap();
        let covers: Vec<_> = folded.items().map(|item| (item.to_string(), item.is_wildcard(), item.covers)).collect();
        let expected = [("/a", 0..1), ("/b/*", 1..4), ("/c", 4..5), ("/d/*", 5..7), ("/e*", 7..8)];
        let expected = expected.map(|(item, covers)| (item.to_owned(), item.ends_with('*'), covers));
        assert_eq!(covers, expected);
        assert_eq!((folded.billed(), folded.over(), folded.wildcards()), (5, 1, 3));
    }

    #[test]
    fn lists_in_another_order_are_refused_in_words() {
        let refused = |paths: &[&str], archived: &[&str], readable: &[&str]| {
            fold(paths, &Neighbours { listed: &["/"], archived, readable }, 0).unwrap_err().to_string()
        };
        let says =
            |list: &str| format!("{list} must be sorted and different from each other: \"/a\" stands after \"/b\"");
        assert_eq!(refused(&["/b", "/a"], &[], &[]), says("paths"));
        assert_eq!(refused(&[], &["/b", "/a"], &[]), says("archived"));
        assert_eq!(refused(&[], &[], &["/b", "/a"]), says("readable"));
        assert_eq!(fold(&["/a", "/a"], &Neighbours::default(), 0).unwrap_err().before, "/a");
    }

    #[test]
    fn paths_have_what_they_have_in_common_however_long() {
        for length in [0, 1, 31, 32, 33, 64, 65, 100] {
            let shared = "x".repeat(length);
            assert_eq!(common(&format!("{shared}a"), &format!("{shared}b")), length);
            assert_eq!(common(&shared, &format!("{shared}b")), length);
            assert_eq!(common(&shared, &shared), length);
        }
    }

    /// A small bucket, everything decoded.
    #[derive(Debug, Clone)]
    struct Case {
        /// Restored, shown under an exact path.
        restored: BTreeSet<String>,
        /// What given wildcards begin with.
        given: BTreeSet<String>,
        archived: BTreeSet<String>,
        readable: BTreeSet<String>,
        listed: BTreeSet<String>,
        max_over: usize,
    }

    fn cases() -> impl Strategy<Value = Case> {
        // Letters that are encoded and not, that share bytes, that look like escapes, and the star.
        let letters = || select(vec!["a", "a", "b", "/", "ü", "é", "€", "₭", "%", "*", "2", "A", " "]);
        let few = || select(vec!["a", "b"]);
        let text = |letters: BoxedStrategy<&'static str>, length| {
            proptest::collection::vec(letters, length).prop_map(|letters| letters.concat()).boxed()
        };
        let key = move || prop_oneof![text(letters().boxed(), 0..4), text(few().boxed(), 1..5)];
        let listed = prop_oneof![
            4 => Just(BTreeSet::from([String::new()])),
            2 => btree_set(text(letters().boxed(), 0..2), 0..4),
            1 => btree_set(key(), 0..4),
        ];
        let given = prop_oneof![4 => btree_set(key(), 0..1), 1 => btree_set(key(), 0..3)];
        (btree_set(key(), 0..7), given, btree_set(key(), 0..3), btree_set(key(), 0..6), listed, 0_usize..4).prop_map(
            |(restored, given, archived, readable, listed, max_over)| {
                let archived: BTreeSet<_> = archived.difference(&restored).cloned().collect();
                let readable = readable.difference(&restored).filter(|key| !archived.contains(*key)).cloned().collect();
                Case { restored, given, archived, readable, listed, max_over }
            },
        )
    }

    /// The encoded beginning of paths: a literal star at its end is one within the paths.
    fn encoded_stem(stem: &str) -> String {
        let encoded = encode_path(&format!("/{stem}."));
        encoded.strip_suffix('.').unwrap().to_owned()
    }

    fn encoded(keys: &BTreeSet<String>) -> BTreeSet<String> {
        keys.iter().map(|key| encode_path(&format!("/{key}"))).collect()
    }

    impl Case {
        /// The characters' beginnings of a text that a wildcard may end behind, by the letter of the rules.
        fn stems<'k>(&self, text: &'k str) -> Vec<&'k str> {
            let ends = text.char_indices().map(|(end, _)| end).chain([text.len()]);
            ends.map(|end| &text[..end])
                .filter(|stem| !stem.ends_with('*'))
                .filter(|stem| self.listed.iter().any(|listed| stem.starts_with(listed.as_str())))
                .filter(|stem| !self.archived.iter().any(|key| key.starts_with(stem)))
                .collect()
        }

        /// The least (billed paths, over, wildcards) of all ways to cover each key by some item.
        fn least(&self) -> [usize; 3] {
            let mut least = [usize::MAX; 3];
            let given: Vec<_> = self.given.iter().map(|stem| (stem.as_str(), true)).collect();
            let keys: Vec<_> = given.into_iter().chain(self.restored.iter().map(|key| (key.as_str(), false))).collect();
            self.try_all(&keys, &mut BTreeSet::new(), 0, &mut least);
            least
        }

        fn try_all<'k>(
            &'k self,
            left: &[(&'k str, bool)],
            wildcards: &mut BTreeSet<&'k str>,
            exact: usize,
            least: &mut [usize; 3],
        ) {
            if exact + wildcards.len() > least[0] {
                return;
            }
            let Some(((text, is_given), left)) = left.split_first() else {
                let is_covered = |key: &&String| {
                    let mut ours = wildcards.iter().filter(|stem| !self.given.contains(**stem));
                    ours.any(|stem| key.starts_with(stem))
                };
                let over = self.readable.iter().filter(is_covered).count();
                if over <= self.max_over {
                    *least = (*least).min([exact + wildcards.len(), over, wildcards.len()]);
                }
                return;
            };
            // A given `/a**` may or may not take the key `a*` along, so it does not.
            let is_doubtful = |stem: &str| !is_given && stem.ends_with('*') && text == &stem;
            if wildcards.iter().any(|stem| text.starts_with(stem) && !is_doubtful(stem)) {
                return self.try_all(left, wildcards, exact, least);
            }
            if !is_given {
                self.try_all(left, wildcards, exact + 1, least);
            }
            let mut stems = self.stems(text);
            if *is_given && !stems.contains(text) {
                stems.push(text);
            }
            for stem in stems {
                wildcards.insert(stem);
                self.try_all(left, wildcards, exact, least);
                wildcards.remove(stem);
            }
        }

        /// Folds as the rules want it; as well as can be, if there is room for all choices.
        fn check(&self, choices: usize) -> Result<(), TestCaseError> {
            let given: BTreeSet<_> = self.given.iter().map(|stem| format!("{}*", encoded_stem(stem))).collect();
            let paths: Vec<_> = encoded(&self.restored).union(&given).cloned().collect();
            let [archived, readable] = [&self.archived, &self.readable].map(|keys| Vec::from_iter(encoded(keys)));
            let listed: Vec<_> = self.listed.iter().map(|stem| encoded_stem(stem)).collect();
            let paths = strs(&paths);
            let neighbours =
                Neighbours { listed: &strs(&listed), archived: &strs(&archived), readable: &strs(&readable) };
            let folded = fold_with(&paths, &neighbours, self.max_over as u32, choices).unwrap();

            let mut next = 0;
            let (mut wildcards, mut over) = (0, BTreeSet::new());
            for item in folded.items() {
                prop_assert_eq!(item.covers.start, next, "a path is left out or covered twice");
                next = item.covers.end;
                let text = item.to_string();
                let Some(stem) = text.strip_suffix('*') else {
                    prop_assert_eq!(&paths[item.covers], &[text.as_str()]);
                    continue;
                };
                wildcards += 1;
                prop_assert!(paths[item.covers].iter().all(|path| path.starts_with(stem)), "{}", &text);
                if given.contains(&text) {
                    continue;
                }
                prop_assert!(listed.iter().any(|prefix| stem.starts_with(prefix.as_str())), "{} is not listed", &text);
                prop_assert!(!archived.iter().any(|path| path.starts_with(stem)), "{} covers an archived one", &text);
                over.extend(readable.iter().filter(|path| path.starts_with(stem)));
            }
            prop_assert_eq!(next, paths.len());
            prop_assert_eq!((folded.wildcards(), folded.over()), (wildcards, over.len()));
            prop_assert!(folded.over() <= self.max_over);
            let result = [folded.billed(), folded.over(), folded.wildcards()];
            if choices == CHOICES {
                prop_assert_eq!(result, self.least(), "not the least: {:?}", items(&folded));
            } else {
                prop_assert!(result >= self.least(), "less than the least: {:?}", items(&folded));
            }
            Ok(())
        }
    }

    fn check_cases(count: u32, cases: impl Strategy<Value = Case>, choices: usize) {
        let config = Config { cases: count, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
        runner.run(&cases, |case| case.check(choices)).unwrap();
    }

    #[test]
    fn of_twenty_thousand_small_buckets_each_is_folded_as_well_as_can_be() {
        check_cases(20_000, cases(), CHOICES);
    }

    #[test]
    fn where_there_is_no_room_for_all_choices_the_limit_holds_all_the_same() {
        let more_neighbours = cases().prop_map(|case| Case { max_over: case.max_over + 2, ..case });
        check_cases(2_000, more_neighbours, 130);
    }

    #[test]
    fn counted_in_dozens_neighbours_are_never_too_many() {
        // A hundred folders of nine restored and three readable objects: ten of them together cover thirty, and save 89.
        let keys = |letters: &str| -> Vec<String> {
            let folder = |folder| letters.chars().map(move |letter| format!("/{folder:02}/{letter}"));
            (0..100).flat_map(folder).collect()
        };
        let (paths, readable) = (keys("abcdefghi"), keys("jkl"));
        let (paths, readable) = (strs(&paths), strs(&readable));
        let neighbours = Neighbours { listed: &["/"], archived: &["/"], readable: &readable };
        let folded = |choices| {
            let folded = fold_with(&paths, &neighbours, 60, choices).unwrap();
            [folded.over(), folded.wildcards(), folded.billed()]
        };
        assert_eq!(folded(CHOICES), [60, 2, 900 - 178]);
        // Ten columns for 110 places, two of them inside each other: eight sevens, so five for ten folders, one for one.
        // Then there is room for 21, which are counted in threes: seven more folders.
        assert_eq!(folded(10 * (110 + 2 * 64)), [60, 11, 900 - 89 - 10 * 8]);
    }

    /// A bucket of 100,000 objects in 1,000 folders, some of them restored; the others are archived.
    struct Folders {
        restored: Vec<bool>,
    }

    impl Folders {
        fn new(is_restored: impl FnMut(usize) -> bool) -> Self {
            Self { restored: (0..100_000).map(is_restored).collect() }
        }

        fn keys(&self, restored: bool) -> Vec<String> {
            let numbers = (0..self.restored.len()).filter(|number| self.restored[*number] == restored);
            numbers.map(|number| format!("/arch/d{:03}/{:02}", number / 100, number % 100)).collect()
        }

        /// The fewest billed paths, digit by digit: one for what is restored as a whole.
        fn fewest(of: &[bool]) -> usize {
            match of.iter().filter(|restored| **restored).count() {
                0 => 0,
                all if all == of.len() => 1,
                _ => of.chunks(of.len() / 10).map(Self::fewest).sum(),
            }
        }

        #[track_caller]
        fn check(&self, billed: usize, wildcards: usize) {
            let [paths, others] = [true, false].map(|restored| self.keys(restored));
            let (paths, others) = (strs(&paths), strs(&others));
            let archived = Neighbours { listed: &["/arch/"], archived: &others, readable: &[] };
            let readable = Neighbours { listed: &["/arch/"], archived: &[], readable: &others };
            for neighbours in [archived, readable] {
                let folded = fold(&paths, &neighbours, 0).unwrap();
                assert_eq!((folded.billed(), folded.wildcards(), folded.over()), (billed, wildcards, 0));
            }
            assert_eq!(Self::fewest(&self.restored), billed);
        }
    }

    /// So many of the numbers below a limit, scattered.
    fn scattered(count: usize, below: usize) -> BTreeSet<usize> {
        let mut state = 1_u64;
        let mut chosen = BTreeSet::new();
        while chosen.len() < count {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            chosen.insert((state >> 33) as usize % below);
        }
        chosen
    }

    #[test]
    fn neighbouring_folders_become_two_wildcards() {
        Folders::new(|number| (200..400).contains(&(number / 100))).check(2, 2);
    }

    #[test]
    fn scattered_folders_become_a_wildcard_each() {
        let folders = scattered(200, 1_000);
        Folders::new(|number| folders.contains(&(number / 100))).check(200, 200);
    }

    #[test]
    fn scattered_objects_stay_exact_paths() {
        let objects = scattered(20_000, 100_000);
        Folders::new(|number| objects.contains(&number)).check(20_000, 0);
    }

    #[test]
    fn folders_with_holes_are_folded_around_the_holes() {
        let holes = scattered(200, 20_000);
        Folders::new(|number| (20_000..40_000).contains(&number) && !holes.contains(&(number - 20_000)))
            .check(2_844, 1_094);
    }

    #[test]
    fn videos_of_many_segments_become_a_wildcard_each() {
        let chosen = scattered(25, 400);
        let keys = |restored: bool| -> Vec<String> {
            let videos = (0..400).filter(|video| chosen.contains(video) == restored);
            let segments = |video| (0..300).map(move |segment| format!("/v{video:03}/{segment:05}.ts"));
            videos.flat_map(|video| segments(video).chain([format!("/v{video:03}/index.m3u8")])).collect()
        };
        let (paths, others) = (keys(true), keys(false));
        let neighbours = Neighbours { listed: &["/"], archived: &strs(&others), readable: &[] };
        let paths = strs(&paths);
        let folded = fold(&paths, &neighbours, 0).unwrap();
        assert_eq!((paths.len(), folded.billed(), folded.wildcards()), (7_525, 25, 25));
    }

    #[test]
    fn a_month_and_three_days_of_logs_become_four_wildcards() {
        let keys = |restored: bool| -> Vec<String> {
            let days = (1..=12).flat_map(|month| (1..=28).map(move |day| (month, day)));
            let days = days.filter(|(month, day)| (*month == 3 || *month == 5 && (10..13).contains(day)) == restored);
            days.flat_map(|(month, day)| {
                (0..96)
                    .map(move |part| format!("/logs/2025/{month:02}/{day:02}/{:02}{:02}.gz", part / 4, part % 4 * 15))
            })
            .collect()
        };
        let (paths, others) = (keys(true), keys(false));
        let neighbours = Neighbours { listed: &["/logs/"], archived: &strs(&others), readable: &[] };
        let paths = strs(&paths);
        let folded = fold(&paths, &neighbours, 0).unwrap();
        let expected = ["/logs/2025/03/*", "/logs/2025/05/10/*", "/logs/2025/05/11/*", "/logs/2025/05/12/*"];
        assert_eq!((paths.len(), items(&folded)), (2_976, expected.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_hundred_thousand_keys_of_a_kilobyte_that_differ_at_the_end_become_one_wildcard() {
        let shared = "x".repeat(1_018);
        let paths: Vec<_> = (0..100_000).map(|number| format!("/{shared}{number:05}")).collect();
        let paths = strs(&paths);
        let neighbours = Neighbours { listed: &["/"], archived: &["/", "/y"], readable: &[] };
        assert_eq!(items(&fold(&paths, &neighbours, 0).unwrap()), [format!("/{shared}*")]);
    }

    #[test]
    fn places_inside_each_other_as_deep_as_keys_are_long_fit_on_the_stack() {
        // Each path is the beginning of the next, each with a readable neighbour and an archived one of its own.
        let line = "x".repeat(4_000);
        let paths: Vec<_> = (0..4_000).map(|length| format!("/{}", &line[..length])).collect();
        let readable: Vec<_> = (0..4_000).map(|length| format!("/{}w", &line[..length])).collect();
        let (paths, readable) = (strs(&paths), strs(&readable));
        let neighbours = Neighbours { listed: &["/"], archived: &[], readable: &readable };
        for (max_over, billed) in [(0, 4_000), (10, 3_991), (4_000, 1)] {
            assert_eq!(fold(&paths, &neighbours, max_over).unwrap().billed(), billed, "{max_over}");
        }
    }
}
