use std::collections::BTreeSet;

use proptest::collection::btree_set;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;
use crate::cache_key::with_any_query_string;
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
fn a_given_wildcard_may_be_the_first_of_its_place() {
    let paths = ["/a*", "/ab"];
    for (ends, shortest, left) in [(1..=3, Some(2), vec![]), (3..=4, None, vec![0]), (1..=1, None, vec![])] {
        let mut given = vec![0];
        assert_eq!((take_given(&paths, &mut given, 0, &ends), given), (shortest, left), "{ends:?}");
    }
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
    let says = |list: &str| format!("{list} must be sorted and different from each other: \"/a\" stands after \"/b\"");
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
    /// Restored ones that are cached by query string, too, each with the `?` that follows it in its wildcard.
    variants: BTreeSet<String>,
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
    let with_variants = select(vec![0_u8, 0, 0b111_1111, 0b101_0101]);
    let neighbours = (btree_set(key(), 0..3), btree_set(key(), 0..6));
    (btree_set(key(), 0..7), given, with_variants, neighbours, listed, 0_usize..4).prop_map(
        |(restored, given, with_variants, (archived, readable), listed, max_over)| {
            let has_variants = |(place, _): &(usize, &String)| with_variants >> place & 1 == 1;
            let variants = restored.iter().enumerate().filter(has_variants).map(|(_, key)| format!("{key}?")).collect();
            let archived: BTreeSet<_> = archived.difference(&restored).cloned().collect();
            let readable = readable.difference(&restored).filter(|key| !archived.contains(*key)).cloned().collect();
            Case { restored, given, variants, archived, readable, listed, max_over }
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
        let given: Vec<_> = self.given.union(&self.variants).map(|stem| (stem.as_str(), true)).collect();
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
                let is_given = |stem: &str| self.given.contains(stem) || self.variants.contains(stem);
                let mut ours = wildcards.iter().filter(|stem| !is_given(stem));
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
        let variant = |key: &String| with_any_query_string(&encode_path(&format!("/{}", key.trim_end_matches('?'))));
        let given = self.given.iter().map(|stem| format!("{}*", encoded_stem(stem)));
        let given: BTreeSet<_> = given.chain(self.variants.iter().map(variant)).collect();
        let paths: Vec<_> = encoded(&self.restored).union(&given).cloned().collect();
        let [archived, readable] = [&self.archived, &self.readable].map(|keys| Vec::from_iter(encoded(keys)));
        let listed: Vec<_> = self.listed.iter().map(|stem| encoded_stem(stem)).collect();
        let paths = strs(&paths);
        let neighbours = Neighbours { listed: &strs(&listed), archived: &strs(&archived), readable: &strs(&readable) };
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
        // A star at the end of a key is `%2A`: the wildcard `/a%2A*` for `/a%2A` and its variants has no stem in these letters.
        if self.variants.iter().any(|variant| variant.ends_with("*?")) {
            return Ok(());
        }
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

/// With so few choices each knapsack holds one place, and the next one gets what is left.
#[test]
fn what_a_coarse_knapsack_leaves_is_packed_again() {
    let place = |start, end, over| Wildcard { start, end, length: 1, over };
    let [first, inside, most, second, least] =
        [place(0, 3, 4), place(4, 6, 1), place(3, 8, 4), place(8, 12, 4), place(12, 14, 4)];
    let chosen = |max_over, choices| {
        let chosen = choose(&[], vec![first, inside, most, second, least], max_over, choices);
        chosen.into_iter().map(|place| (place.start, place.end)).collect::<Vec<_>>()
    };
    assert_eq!(
        chosen(14, 130),
        [(0, 3), (3, 8), (8, 12)],
        "all but the place that saves least, for which two are left"
    );
    assert_eq!(chosen(14, CHOICES), chosen(14, 130));
    assert_eq!(chosen(16, 130), [(0, 3), (3, 8), (8, 12), (12, 14)]);
    assert_eq!(chosen(5, 130), [(3, 8)]);
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
            (0..96).map(move |part| format!("/logs/2025/{month:02}/{day:02}/{:02}{:02}.gz", part / 4, part % 4 * 15))
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
