use super::*;
use crate::{Behaviour, Distribution, Origin};

fn rules(json: &str) -> PathRules {
    PathRules::new("", json).unwrap_or_else(|error| panic!("{error}"))
}

fn rule(keys: &str, paths: &[&str]) -> Rule {
    let json = serde_json::json!([{"keys": keys, "paths": paths}]).to_string();
    rules(&json).rules.pop().unwrap()
}

#[test]
fn an_error_names_the_rule_the_field_the_value_and_what_to_write() {
    let rule = |fields: &str| format!(r#"[{{"keys": "a", "paths": ["/b"]}}, {{{fields}}}]"#);
    for (json, says) in [
        ("{".to_owned(), "it is not JSON (EOF"),
        ("{}".to_owned(), "it must be a list of rules. Write [{\"keys\": \"images/{path...}\", \"paths\""),
        (format!("[{}]", vec![r#"{"keys":"a","paths":["/b"]}"#; 21].join(",")), "it has 21 rules, and 20 are the most"),
        (format!("[{}]", " ".repeat(2_047)), "it has 2049 bytes, and 2048 are the most"),
        ("[7]".to_owned(), "rule 1, 7 must be an object. Write ["),
        (
            rule(r#""behavior": "a""#),
            "rule 2, \"behavior\" is not a field of a rule: these are distribution, behaviour, keys",
        ),
        (rule(r#""paths": ["/b"]"#), "rule 2, keys is missing. Write ["),
        (rule(r#""keys": "", "paths": ["/b"]"#), "rule 2, keys \"\" must be a text that is not empty"),
        (rule(r#""keys": 7, "paths": ["/b"]"#), "rule 2, keys 7 must be a text that is not empty"),
        (
            rule(r#""distribution": "arn:E1", "keys": "a", "paths": ["/b"]"#),
            "rule 2, distribution \"arn:E1\" must be an id",
        ),
        (rule(r#""behaviour": null, "keys": "a", "paths": ["/b"]"#), "rule 2, behaviour null must be a text"),
        (rule(r#""keys": "a""#), "rule 2, paths null must be a list of 1 to 5 paths"),
        (rule(r#""keys": "a", "paths": []"#), "rule 2, paths [] must be a list of 1 to 5 paths"),
        (
            rule(r#""keys": "a", "paths": ["/","/","/","/","/","/"]"#),
            "rule 2, paths [\"/\",\"/\",\"/\",\"/\",\"/\",\"/\"] must be",
        ),
        (rule(r#""keys": "a", "paths": [7]"#), "rule 2, path 7 must be a text that begins with a slash"),
        (rule(r#""keys": "a", "paths": ["b"]"#), "rule 2, path \"b\" must be a text that begins with a slash"),
        (
            rule(r#""keys": "a", "paths": ["/b*"]"#),
            "rule 2, path \"/b*\" has a *, which is no wildcard here: write {name}",
        ),
        (rule(r#""keys": "a", "paths": ["/b?x=1"]"#), "rule 2, path \"/b?x=1\" has a ?"),
        (rule(r#""keys": "a?", "paths": ["/b"]"#), "rule 2, keys \"a?\" has a ?"),
        (
            rule(r#""keys": "a", "paths": ["/~b"]"#),
            "rule 2, path \"/~b\" has a ~, and CloudFront invalidates no path with a ~",
        ),
        (
            rule(r#""keys": "a", "paths": ["/a%20b"]"#),
            "rule 2, path \"/a%20b\" is encoded, and thaw would encode it again",
        ),
        (rule(r#""keys": "a", "paths": ["/../b"]"#), "rule 2, path \"/../b\" has the segment \"..\""),
        (rule(r#""keys": "{p", "paths": ["/b"]"#), "rule 2, keys \"{p\" has a { without a }"),
        (rule(r#""keys": "p}", "paths": ["/b"]"#), "rule 2, keys \"p}\" has a }"),
        (
            rule(r#""keys": "{}", "paths": ["/b"]"#),
            "rule 2, keys \"{}\" has the capture {}: its name must be of letters",
        ),
        (rule(r#""keys": "{a b}", "paths": ["/b"]"#), "rule 2, keys \"{a b}\" has the capture {a b}: its name"),
        (rule(r#""keys": "{a}{b}", "paths": ["/b"]"#), "rule 2, keys \"{a}{b}\" has two captures between slashes"),
        (
            rule(r#""keys": "{a}-{b...}", "paths": ["/b"]"#),
            "rule 2, keys \"{a}-{b...}\" has two captures between slashes",
        ),
        (rule(r#""keys": "{a}/{a}", "paths": ["/b"]"#), "rule 2, keys \"{a}/{a}\" has two captures with the name a"),
        (
            rule(r#""keys": "{a...}/{b...}", "paths": ["/b"]"#),
            "rule 2, keys \"{a...}/{b...}\" has two captures over slashes",
        ),
        (
            rule(r#""keys": "{a}", "paths": ["/b"]"#),
            "rule 2, path \"/b\" lacks {a}: every capture of keys must be in the path",
        ),
        (rule(r#""keys": "{a}", "paths": ["/{a...}"]"#), "rule 2, path \"/{a...}\" lacks {a}"),
        (rule(r#""keys": "a", "paths": ["/{b}"]"#), "rule 2, path \"/{b}\" has {b}, which keys does not have"),
    ] {
        let error = PathRules::new("index.html", &json).unwrap_err().to_string();
        assert!(error.starts_with(&format!("PathRules: {says}")), "{json}: {error}");
    }
    for empty in ["", "  ", "[]"] {
        assert_eq!(PathRules::new("", empty), Ok(PathRules::default()));
    }
}

#[test]
fn a_key_matches_in_one_way_and_its_paths_lead_back_to_it() {
    for (keys, path, key, expected) in [
        ("images/{p...}", "/img/{p...}", "images/a/b", Some("img/a/b")),
        ("images/{p...}", "/img/{p...}", "images/", Some("img/")),
        ("images/{p...}", "/img/{p...}", "images", None),
        ("images/{p...}", "/img/{p...}", "imagesa", None),
        ("{p}.jpg", "/{p}", "a.jpg", Some("a")),
        ("{p}.jpg", "/{p}", ".jpg", None),
        ("{p}.jpg", "/{p}", "a/b.jpg", None),
        ("{p...}.html", "/{p...}", "a/b.html", Some("a/b")),
        ("{year}/{name}.jpg", "/photos/{name}/from-{year}", "2019/cat.jpg", Some("photos/cat/from-2019")),
        ("{a}/x{p...}y/{b}", "/{b}/{p...}/{a}", "1/xy/2", Some("2//1")),
        ("{a}/x{p...}y/{b}", "/{b}/{p...}/{a}", "1/xy/y/2", Some("2/y//1")),
        ("{a}/x{p...}y/{b}", "/{b}/{p...}/{a}", "1/xy2", None),
        ("{a}/x{p...}y/{b}", "/{b}/{p...}/{a}", "1/x/2", None),
        ("home.html", "/", "home.html", Some("")),
        ("home.html", "/", "home.html/", None),
    ] {
        let rule = rule(keys, &[path]);
        let paths = rule.paths_of(key);
        assert_eq!(paths.first().map(String::as_str), expected, "{keys} {key}");
        assert_eq!(paths.len(), usize::from(expected.is_some()));
        for path in paths {
            assert_eq!(rule.keys_at(&path), [key.to_owned()].into(), "{keys} {path}");
        }
    }
}

/// All texts of up to so many of these characters.
fn texts(alphabet: &[char], most: usize) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut start = 0;
    for _ in 0..most {
        let end = all.len();
        for at in start..end {
            all.extend(alphabet.iter().map(|char| format!("{}{char}", all[at])).collect::<Vec<_>>());
        }
        start = end;
    }
    all
}

/// Templates of every shape, with the paths that they may have.
const SHAPES: [(&str, &[&str]); 10] = [
    ("a/{p...}", &["/b/{p...}", "/{p...}", "/{p...}/a"]),
    ("{p...}b", &["/{p...}", "/b{p...}b"]),
    ("{x}/{p...}", &["/{p...}/{x}", "/a{x}/{p...}"]),
    ("{x}/{p...}/b", &["/{x}/{p...}", "/b/{p...}a/{x}"]),
    ("a{x}b", &["/{x}", "/b/{x}a"]),
    ("{x}/{y}", &["/{y}/{x}", "/a/{x}b/{y}"]),
    ("a", &["/", "/b", "/a/"]),
    ("{p...}", &["/{p...}", "/b{p...}"]),
    ("b/{x}", &["/{x}", "/a/b{x}"]),
    ("{p...}/a", &["/{p...}/", "/{p...}"]),
];

#[test]
fn in_every_rule_a_path_leads_back_to_its_key_and_a_key_to_its_path() {
    let all = texts(&['a', 'b', '/'], 6);
    for (keys, paths) in SHAPES {
        let rule = rule(keys, paths);
        for text in &all {
            for path in rule.paths_of(text) {
                assert!(rule.keys_at(&path).contains(text), "{keys}: {path} of {text}");
            }
            for key in rule.keys_at(text) {
                assert!(rule.paths_of(&key).contains(text), "{keys}: {key} at {text}");
            }
        }
    }
}

/// What a wildcard needs to know, against every key and path that there is.
#[test]
fn no_key_that_a_rule_shows_under_a_beginning_is_overlooked() {
    let (all, beginnings) = (texts(&['a', 'b', '/'], 6), texts(&['a', 'b', '/'], 3));
    let mut checked = 0;
    for (keys, paths) in SHAPES {
        let rule = rule(keys, paths);
        let shown: Vec<(&String, String)> =
            all.iter().flat_map(|key| rule.paths_of(key).into_iter().map(move |path| (key, path))).collect();
        for beginning in &beginnings {
            let prefixes = rule.prefixes_under(beginning);
            for (key, path) in shown.iter().filter(|(_, path)| path.starts_with(beginning.as_str())) {
                assert!(prefixes.iter().any(|prefix| key.starts_with(prefix)), "{keys}: {key} at {path}: {prefixes:?}");
                let is_like_its_path = key.starts_with(beginning.as_str());
                assert!(is_like_its_path || rule.shows_from_elsewhere(beginning, ""), "{keys}: {key} at {path}");
                checked += 1;
            }
            for (key, _) in shown.iter().filter(|(key, _)| key.starts_with(beginning.as_str())) {
                assert!(rule.has_keys_under(beginning), "{keys}: {key} under {beginning}");
            }
        }
    }
    assert!(checked > 1_000, "{checked}");
}

#[test]
fn what_a_beginning_says_of_captures_narrows_the_keys() {
    for (keys, path, beginning, prefix) in [
        ("images/{p...}", "/img/{p...}", "img/a/", Some("images/a/")),
        ("images/{p...}", "/img/{p...}", "im", Some("images/")),
        ("images/{p...}", "/img/{p...}", "images/", None),
        ("{x}/{y}.jpg", "/{y}/{x}", "cat/20", Some("20")),
        ("{x}/{y}.jpg", "/{x}-/{y}", "2019-/ca", Some("2019/ca")),
        ("{p...}.html", "/{p...}", "a/b", Some("a/b")),
        ("a/{p...}", "/{p...}.x", "b/c", Some("a/")),
    ] {
        let found = rule(keys, &[path]).prefixes_under(beginning);
        assert_eq!(found, prefix.map(str::to_owned).into_iter().collect(), "{path} under {beginning}");
    }
}

#[test]
fn a_function_may_mix_the_spelling_of_a_viewer_with_its_own() {
    let mixed = |keys: &str, key: &str, origin_path: &str, endpoint| {
        rule(keys, &["/img/{p...}"]).mixed_spellings(key, origin_path, endpoint)
    };
    let (rest, website) = (Endpoint::Rest, Endpoint::Website);
    assert_eq!(mixed("a b/{p...}", "a b/c d*", "", rest), ["a%20b/c+d%2A", "a+b/c%20d%2A"]);
    assert_eq!(mixed("o p/a b/{p...}.x", "o p/a b/c *.x", "o p/", rest), ["a%20b/c+*.x", "a+b/c%20*.x"]);
    assert_eq!(mixed("a+b/{p...}", "a+b/c+d", "", website), ["a%2Bb/c+d", "a+b/c%2Bd"]);
    for (keys, key, endpoint) in
        [("a b/{p...}", "a b/c", rest), ("ab/{p...}", "ab/c d", rest), ("a b/{p...}", "a b/c d", website)]
    {
        assert_eq!(mixed(keys, key, "", endpoint), [""; 0]);
    }
}

#[test]
fn a_path_that_is_the_beginning_of_its_key_comes_from_nowhere_else() {
    for (keys, paths, origin_path, beginning, elsewhere) in [
        ("{p...}.html", &["/{p...}"][..], "", "", false),
        ("{p...}", &["/{p...}"], "", "a/", false),
        ("pub/{p...}.html", &["/{p...}"], "pub/", "", false),
        ("pub/{p...}.html", &["/{p...}"], "", "", true),
        ("images/{p...}", &["/img/{p...}"], "", "img/", true),
        ("images/{p...}", &["/img/{p...}"], "", "", true),
        ("images/{p...}", &["/img/{p...}"], "", "images/", false),
        ("{p...}.html", &["/{p...}", "/page/{p...}"], "", "page/", true),
        ("{p...}.html", &["/{p...}", "/page/{p...}"], "", "pages/", false),
    ] {
        assert_eq!(rule(keys, paths).shows_from_elsewhere(beginning, origin_path), elsewhere, "{keys} {beginning}");
    }
}

/// The keys that the wildcards which a folder allows cover, and those that viewers get or that are cached under them.
#[test]
fn no_folder_covers_what_a_rule_shows_from_elsewhere() {
    let origin = |id: &str, path: &str| Origin {
        id: id.to_owned(),
        domain: format!("{id}.s3.amazonaws.com"),
        path: path.to_owned(),
    };
    let behaviour = |pattern: &str, target: &str| Behaviour {
        pattern: pattern.to_owned(),
        target: target.to_owned(),
        ..Behaviour::default()
    };
    let keys = texts(&['a', 'b', '/'], 5);
    let mut folders_seen = 0;
    for behaviours in [
        vec![behaviour("*", "one")],
        vec![behaviour("b/*", "two"), behaviour("*", "one")],
        vec![behaviour("/a*", "two"), behaviour("*", "one")],
    ] {
        let distribution = Distribution {
            id: "E1".to_owned(),
            origins: vec![origin("one", ""), origin("two", "")],
            behaviours,
            ..Distribution::default()
        };
        for (of, paths) in SHAPES {
            let rules = rules(&serde_json::json!([{"keys": of, "paths": paths}]).to_string());
            let distribution = Distribution { rules, ..distribution.clone() };
            let all: Vec<(&str, &String, BTreeSet<String>)> = ["one", "two"]
                .into_iter()
                .flat_map(|bucket| keys.iter().map(move |key| (bucket, key)))
                .map(|(bucket, key)| (bucket, key, distribution.paths_of(bucket, key).paths))
                .collect();
            for folder in ["a/", "b/", "a/b/", "/"].into_iter().flat_map(|key| distribution.folders_of("one", key)) {
                folders_seen += 1;
                for (bucket, key, paths) in &all {
                    let is_in_folder = *bucket == "one" && key.starts_with(&folder.prefix);
                    for path in paths.iter().filter(|path| path.starts_with(&folder.path)) {
                        let covering = &path[..path.len().min(folder.path.len() + 1)];
                        let is_known = is_in_folder && key.starts_with(&folder.prefix_of(covering));
                        assert!(is_known, "{of}: {path} of {key} in {bucket} lies in {folder:?}");
                    }
                }
            }
        }
    }
    assert!(folders_seen > 20, "{folders_seen}");
}
