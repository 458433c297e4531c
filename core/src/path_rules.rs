//! Rules for the URLs that a function of CloudFront rewrites ([`PathRules`]): under which other paths a key is shown, and
//! which keys a path shows.
//!
//! A rule has templates, not regular expressions: a template can be read in both directions, and a text matches it in one
//! way at most. So a path that a rule makes of a key is always known as a path of that key ([`Rule::keys_at`]).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::path::{Endpoint, Spelling, without_wildcard};

/// The most bytes of the parameter. All variables of a Lambda function together may have 4 KB.
pub const MAX_PATH_RULES_BYTES: usize = 2_048;

/// The most rules.
const MAX_RULES: usize = 20;

/// The most paths of a rule.
const MAX_PATHS: usize = 5;

/// How rules are written; ends an error about them.
const EXAMPLE: &str = r#"[{"keys": "images/{path...}", "paths": ["/img/{path...}"]}]"#;

/// What the functions of the distributions do to paths: the parameters `DirectoryIndex` and `PathRules` of the stack.
///
/// ```
/// use thaw_core::PathRules;
/// let rules = r#"[{"keys": "images/{path...}", "paths": ["/img/{path...}"]}]"#;
/// assert!(PathRules::new("index.html", rules).is_ok());
/// let error = PathRules::new("", r#"[{"keys": "images/*", "paths": ["/img/"]}]"#).unwrap_err().to_string();
/// assert!(error.starts_with("PathRules: rule 1, keys \"images/*\" has a *"), "{error}");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PathRules {
    directory_index: String,
    /// The rules of the directory index. Their keys are without the origin path.
    index: Vec<Rule>,
    rules: Vec<Rule>,
}

/// Rules that are not valid: which one, which of its fields, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("PathRules: {0}")]
pub struct InvalidPathRules(String);

/// Under which paths the keys of a pattern are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// The distribution that it is about; `None` for all.
    distribution: Option<String>,
    /// The pattern of the behaviour that serves the paths, without a slash at its beginning; `None` for any.
    behaviour: Option<String>,
    keys: Template,
    /// Without the slash at their beginning.
    paths: Vec<Template>,
}

/// A text with captures. Each segment (the text between slashes) has one capture at most, and one capture at most goes
/// over slashes. So a text matches in one way at most.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    text: String,
    segments: Vec<Segment>,
}

/// A segment of a template: without a capture all of it is `before`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Segment {
    before: String,
    capture: Option<Capture>,
    after: String,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Capture {
    name: String,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// `{name}`: one or more characters, none of them a slash.
    InSegment,
    /// `{name...}`: so many characters or more, slashes too.
    Across { least: usize },
}

/// What the beginning of a text says of a capture.
enum Known<'t> {
    /// All of it.
    Whole(&'t str),
    /// How it begins.
    Beginning(&'t str),
}

impl PathRules {
    /// Reads the parameters `DirectoryIndex` and `PathRules`. Both may be empty.
    ///
    /// # Errors
    ///
    /// [`InvalidPathRules`] says what is wrong with `PathRules`. Any text is a directory index.
    pub fn new(directory_index: &str, json: &str) -> Result<Self, InvalidPathRules> {
        Ok(Self { rules: parse(json).map_err(InvalidPathRules)?, ..Self::of_index(directory_index) })
    }

    /// The rules of a directory index alone: a function adds it to a path that ends in a slash, or that is a directory.
    pub fn of_index(directory_index: &str) -> Self {
        let index = if directory_index.is_empty() { Vec::new() } else { rules_of_index(directory_index) };
        Self { directory_index: directory_index.to_owned(), index, rules: Vec::new() }
    }

    /// The name of the directory index; empty for none.
    pub(crate) fn directory_index(&self) -> &str {
        &self.directory_index
    }

    /// The other paths (decoded, without leading slash) under which the directory index shows the object at `path`.
    pub(crate) fn directories_of(&self, path: &str) -> Vec<String> {
        self.index.iter().flat_map(|rule| rule.paths_of(path)).collect()
    }

    /// The rules of `PathRules` for a distribution. A staging distribution also has those of its primary one.
    pub(crate) fn of<'a>(&'a self, distribution: &'a str, primary: Option<&'a str>) -> impl Iterator<Item = &'a Rule> {
        let is_about = move |id: &str| id == distribution || Some(id) == primary;
        self.rules.iter().filter(move |rule| rule.distribution.as_deref().is_none_or(is_about))
    }
}

impl Rule {
    /// Whether it is about paths that the behaviour with this pattern serves.
    pub(crate) fn is_of(&self, pattern: &str) -> bool {
        self.behaviour.as_deref().is_none_or(|of| of == pattern.strip_prefix('/').unwrap_or(pattern))
    }

    /// Whether it names a behaviour.
    pub(crate) fn names_a_behaviour(&self) -> bool {
        self.behaviour.is_some()
    }

    /// How its paths begin before their first capture (without the leading slash).
    pub(crate) fn beginnings(&self) -> impl Iterator<Item = String> {
        self.paths.iter().map(|path| path.beginning_with(&BTreeMap::new()))
    }

    /// The paths (decoded, without leading slash) under which it shows a key.
    pub(crate) fn paths_of(&self, key: &str) -> Vec<String> {
        let Some(captured) = self.keys.captures(key) else { return Vec::new() };
        self.paths.iter().map(|path| path.filled(&captured)).collect()
    }

    /// Its templates of keys and of paths, as they are written, by which it shows a key under a path (decoded, without leading
    /// slash); `None` if it does not.
    pub(crate) fn templates_of(&self, key: &str, path: &str) -> Option<(&str, &str)> {
        let captured = self.keys.captures(key)?;
        let template = self.paths.iter().find(|template| template.filled(&captured) == path)?;
        Some((&self.keys.text, &template.text))
    }

    /// The encoded paths of a key without the origin path, in which the rule's text and what the viewer wrote are spelled in two
    /// ways: a function adds its text to what a viewer wrote.
    pub(crate) fn mixed_spellings(&self, key: &str, origin_path: &str, endpoint: Endpoint) -> Vec<String> {
        let Some(captured) = self.keys.captures(key) else { return Vec::new() };
        let is_ambiguous = |text: &str| text.contains(endpoint.ambiguous());
        let in_text = |segment: &Segment| is_ambiguous(&segment.before) || is_ambiguous(&segment.after);
        if !self.keys.segments.iter().any(in_text) || !captured.values().any(|value| is_ambiguous(value)) {
            return Vec::new();
        }
        let mixed = [(Spelling::Escaped, Spelling::Plus), (Spelling::Plus, Spelling::Escaped)];
        let encoded = mixed.into_iter().filter_map(|(text, captures)| {
            let path = self.keys.encoded(&captured, endpoint, text, captures);
            let path = path.strip_prefix(&endpoint.encode_part(origin_path, text))?;
            Some(without_wildcard(path.to_owned()))
        });
        encoded.collect()
    }

    /// The keys that it shows under a path (decoded, without leading slash).
    pub(crate) fn keys_at(&self, path: &str) -> BTreeSet<String> {
        let captured = self.paths.iter().filter_map(|template| template.captures(path));
        captured.map(|captured| self.keys.filled(&captured)).collect()
    }

    /// How the keys begin that it shows under paths with this beginning (decoded, without leading slash). Empty if there
    /// is no such path.
    pub(crate) fn prefixes_under(&self, beginning: &str) -> BTreeSet<String> {
        let known = self.paths.iter().filter_map(|template| template.known_of(beginning));
        known.map(|known| self.keys.beginning_with(&known)).collect()
    }

    /// Whether it is about keys that begin so.
    pub(crate) fn has_keys_under(&self, prefix: &str) -> bool {
        self.keys.known_of(prefix).is_some()
    }

    /// Whether it shows, under paths with this beginning, a key that does not begin like its path.
    ///
    /// Where a path is the beginning of its key (without the origin path), as with `{page...}.html` under `/{page...}`,
    /// who lists the keys with the beginning of a path finds that key.
    pub(crate) fn shows_from_elsewhere(&self, beginning: &str, origin_path: &str) -> bool {
        let keys = self.keys.text.strip_prefix(origin_path).filter(|_| !origin_path.contains('{'));
        let is_elsewhere = |path: &&Template| !keys.is_some_and(|keys| keys.starts_with(&path.text));
        self.paths.iter().filter(is_elsewhere).any(|path| path.known_of(beginning).is_some())
    }
}

/// Each directory has three names: with its index, with the slash at its end, and without it.
fn rules_of_index(index: &str) -> Vec<Rule> {
    let literal = |before: &str| Segment { before: before.to_owned(), ..Segment::default() };
    let directory = |least: usize| {
        let capture = Some(Capture { name: "directory".to_owned(), kind: Kind::Across { least } });
        Segment { capture, ..Segment::default() }
    };
    let rule = |keys: Vec<Segment>, path: Vec<Segment>| Rule {
        distribution: None,
        behaviour: None,
        keys: Template::of(keys),
        paths: vec![Template::of(path)],
    };
    vec![
        rule(vec![literal(index)], vec![literal("")]),
        rule(vec![directory(0), literal(index)], vec![directory(0), literal("")]),
        // `/index.html` as a key (with its slash) lies in the directory `/`, whose path is `//`. Without the slash it would
        // be the root, which shows the key `index.html`.
        rule(vec![directory(1), literal(index)], vec![directory(1)]),
    ]
}

impl Template {
    fn of(segments: Vec<Segment>) -> Self {
        Self { text: String::new(), segments }
    }

    /// What the captures are in a text; `None` if it does not match.
    fn captures<'t>(&self, text: &'t str) -> Option<BTreeMap<&str, &'t str>> {
        let across = self.segments.iter().position(Segment::is_across);
        let mut captured = BTreeMap::new();
        let mut rest = Some(text);
        let (front, back) = match across {
            Some(at) => (&self.segments[..at], &self.segments[at + 1..]),
            None => (&self.segments[..], &[][..]),
        };
        for segment in front {
            let (found, left) = match rest?.split_once('/') {
                Some((found, left)) => (found, Some(left)),
                None => (rest?, None),
            };
            captured.extend(segment.take(found)?);
            rest = left;
        }
        let Some(across) = across else { return rest.is_none().then_some(captured) };
        let mut rest = rest?;
        for segment in back.iter().rev() {
            let (left, found) = rest.rsplit_once('/')?;
            captured.extend(segment.take(found)?);
            rest = left;
        }
        captured.extend(self.segments[across].take(rest)?);
        Some(captured)
    }

    /// The text with these captures.
    fn filled(&self, captured: &BTreeMap<&str, &str>) -> String {
        let filled = |segment: &Segment| match &segment.capture {
            None => segment.before.clone(),
            Some(Capture { name, .. }) => {
                let inner = captured.get(name.as_str()).copied().unwrap_or_default();
                format!("{}{inner}{}", segment.before, segment.after)
            }
        };
        self.segments.iter().map(filled).collect::<Vec<_>>().join("/")
    }

    /// The encoded path with these captures, its own text in one spelling and the captures in another.
    fn encoded(
        &self,
        captured: &BTreeMap<&str, &str>,
        endpoint: Endpoint,
        text: Spelling,
        captures: Spelling,
    ) -> String {
        let encoded = |Segment { before, capture, after }: &Segment| {
            let inner = capture.as_ref().and_then(|capture| captured.get(capture.name.as_str())).copied();
            let inner = endpoint.encode_part(inner.unwrap_or_default(), captures);
            format!("{}{inner}{}", endpoint.encode_part(before, text), endpoint.encode_part(after, text))
        };
        self.segments.iter().map(encoded).collect::<Vec<_>>().join("/")
    }

    /// What is known of the captures of a text that begins so; `None` if no text does. If in doubt, less is known.
    fn known_of<'t>(&self, beginning: &'t str) -> Option<BTreeMap<&str, Known<'t>>> {
        let (mut known, mut left) = (BTreeMap::new(), beginning);
        for (place, segment) in self.segments.iter().enumerate() {
            let is_last = place + 1 == self.segments.len();
            match left.split_once('/').filter(|_| !segment.is_across()) {
                Some((whole, more)) if !is_last => {
                    known.extend(segment.take(whole)?.map(|(name, value)| (name, Known::Whole(value))));
                    left = more;
                }
                Some(_) => return None,
                None if segment.before.starts_with(left) => return Some(known),
                None => {
                    let inner = left.strip_prefix(segment.before.as_str())?;
                    let Capture { name, kind } = segment.capture.as_ref()?;
                    let is_open = match kind {
                        Kind::InSegment => segment.after.is_empty(),
                        // What follows it may begin anywhere.
                        Kind::Across { .. } => segment.after.is_empty() && is_last,
                    };
                    known.extend(is_open.then_some((name.as_str(), Known::Beginning(inner))));
                    return Some(known);
                }
            }
        }
        None
    }

    /// How all texts with these captures begin.
    fn beginning_with(&self, known: &BTreeMap<&str, Known<'_>>) -> String {
        let mut beginning = String::new();
        for (place, Segment { before, capture, after }) in self.segments.iter().enumerate() {
            beginning.push_str(if place == 0 { "" } else { "/" });
            beginning.push_str(before);
            match capture.as_ref().map(|capture| known.get(capture.name.as_str())) {
                None => {}
                Some(Some(Known::Whole(value))) => beginning.extend([value, after.as_str()]),
                Some(Some(Known::Beginning(value))) => {
                    beginning.push_str(value);
                    return beginning;
                }
                Some(None) => return beginning,
            }
        }
        beginning
    }
}

impl Segment {
    fn is_across(&self) -> bool {
        self.capture.as_ref().is_some_and(|capture| match capture.kind {
            Kind::Across { .. } => true,
            Kind::InSegment => false,
        })
    }

    /// The capture in a text, if there is one; `None` if the text does not match.
    fn take<'s, 't>(&'s self, text: &'t str) -> Option<Option<(&'s str, &'t str)>> {
        let Some(Capture { name, kind }) = &self.capture else { return (text == self.before).then_some(None) };
        let inner = text.strip_prefix(self.before.as_str())?.strip_suffix(self.after.as_str())?;
        let least = match kind {
            Kind::InSegment => 1,
            Kind::Across { least } => *least,
        };
        (inner.len() >= least).then_some(Some((name, inner)))
    }
}

fn parse(json: &str) -> Result<Vec<Rule>, String> {
    if json.trim().is_empty() {
        return Ok(Vec::new());
    }
    if json.len() > MAX_PATH_RULES_BYTES {
        return Err(format!("it has {} bytes, and {MAX_PATH_RULES_BYTES} are the most", json.len()));
    }
    let value: Value =
        serde_json::from_str(json).map_err(|error| format!("it is not JSON ({error}). Write {EXAMPLE}"))?;
    let Value::Array(rules) = value else { return Err(format!("it must be a list of rules. Write {EXAMPLE}")) };
    if rules.len() > MAX_RULES {
        return Err(format!("it has {} rules, and {MAX_RULES} are the most", rules.len()));
    }
    let numbered = rules.iter().zip(1..);
    numbered.map(|(rule, number)| parse_rule(rule).map_err(|why| format!("rule {number}, {why}"))).collect()
}

fn parse_rule(rule: &Value) -> Result<Rule, String> {
    const FIELDS: [&str; 4] = ["distribution", "behaviour", "keys", "paths"];
    let Value::Object(rule) = rule else { return Err(format!("{rule} must be an object. Write {EXAMPLE}")) };
    if let Some(unknown) = rule.keys().find(|field| !FIELDS.contains(&field.as_str())) {
        return Err(format!("{unknown:?} is not a field of a rule: these are {}", FIELDS.join(", ")));
    }
    let distribution = text(rule, "distribution")?;
    if let Some(id) =
        distribution.filter(|id| !id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()))
    {
        return Err(format!("distribution {id:?} must be an id such as E2QWRUHEXAMPLE"));
    }
    let behaviour = text(rule, "behaviour")?.map(|pattern| pattern.strip_prefix('/').unwrap_or(pattern).to_owned());
    let keys = text(rule, "keys")?.ok_or_else(|| format!("keys is missing. Write {EXAMPLE}"))?;
    let keys = Template::parse(keys).map_err(|why| format!("keys {keys:?} {why}"))?;
    let paths = match rule.get("paths") {
        Some(Value::Array(paths)) if (1..=MAX_PATHS).contains(&paths.len()) => paths,
        found => {
            let found = found.unwrap_or(&Value::Null);
            return Err(format!("paths {found} must be a list of 1 to {MAX_PATHS} paths. Write {EXAMPLE}"));
        }
    };
    let paths: Vec<Template> = paths
        .iter()
        .map(|path| parse_path(path, &keys).map_err(|why| format!("path {path} {why}")))
        .collect::<Result<_, _>>()?;
    Ok(Rule { distribution: distribution.map(str::to_owned), behaviour, keys, paths })
}

fn text<'a>(rule: &'a Map<String, Value>, field: &str) -> Result<Option<&'a str>, String> {
    match rule.get(field) {
        None => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text)),
        Some(other) => Err(format!("{field} {other} must be a text that is not empty")),
    }
}

fn parse_path(path: &Value, keys: &Template) -> Result<Template, String> {
    let Some(path) = path.as_str().and_then(|path| path.strip_prefix('/')) else {
        return Err("must be a text that begins with a slash, as viewers ask for it".to_owned());
    };
    if path.contains('~') {
        return Err("has a ~, and CloudFront invalidates no path with a ~".to_owned());
    }
    let is_escape = |at: usize| path[at + 1..].bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2;
    if path.match_indices('%').any(|(at, _)| is_escape(at)) {
        return Err("is encoded, and thaw would encode it again: write the characters themselves".to_owned());
    }
    let template = Template::parse(path)?;
    let (in_keys, in_path) = (keys.all_captures(), template.all_captures());
    let missing = in_keys.iter().find(|capture| !in_path.contains(*capture));
    let unknown = in_path.iter().find(|capture| !in_keys.contains(*capture));
    match (missing, unknown) {
        (Some(missing), _) => {
            Err(format!("lacks {missing}: every capture of keys must be in the path, to tell the key from the path"))
        }
        (None, Some(unknown)) => Err(format!("has {unknown}, which keys does not have")),
        (None, None) => Ok(template),
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        if text.len() > 1_024 {
            return Err("has more than 1,024 bytes, the most of a key".to_owned());
        }
        let segments = text.split('/').map(Segment::parse).collect::<Result<Vec<_>, _>>()?;
        let template = Self { text: text.to_owned(), segments };
        let names: Vec<&str> = template.captures_in_order().map(|capture| capture.name.as_str()).collect();
        if let Some((_, twice)) = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name)) {
            return Err(format!("has two captures with the name {twice}: give one of them another name"));
        }
        if template.segments.iter().filter(|segment| segment.is_across()).count() > 1 {
            return Err(
                "has two captures over slashes ({name...}), so a text could match in several ways: write one of them as {name}, which is one segment".to_owned(),
            );
        }
        Ok(template)
    }

    fn captures_in_order(&self) -> impl Iterator<Item = &Capture> {
        self.segments.iter().filter_map(|segment| segment.capture.as_ref())
    }

    fn all_captures(&self) -> BTreeSet<String> {
        self.captures_in_order().map(Capture::written).collect()
    }
}

impl Capture {
    /// As it is written in a template.
    fn written(&self) -> String {
        match self.kind {
            Kind::InSegment => format!("{{{}}}", self.name),
            Kind::Across { .. } => format!("{{{}...}}", self.name),
        }
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, String> {
        if matches!(text, "." | "..") {
            return Err(format!("has the segment {text:?}, which clients remove before they ask"));
        }
        let (before, capture, after) = match text.split_once('{') {
            None => (text, None, ""),
            Some((before, rest)) => {
                let (name, after) = rest.split_once('}').ok_or("has a { without a }")?;
                (before, Some(Capture::parse(name)?), after)
            }
        };
        if after.contains('{') {
            return Err(format!(
                "has two captures between slashes ({text:?}), so a text could match in several ways: put a / between them, or make one of them literal text in a rule for each"
            ));
        }
        let is_odd = |char: &char| matches!(char, '*' | '?' | '{' | '}');
        if let Some(odd) = before.chars().chain(after.chars()).find(is_odd) {
            return Err(format!(
                "has a {odd}, which is no wildcard here: write {{name}} for the characters of a segment, or {{name...}} for any characters"
            ));
        }
        Ok(Self { before: before.to_owned(), capture, after: after.to_owned() })
    }
}

impl Capture {
    fn parse(text: &str) -> Result<Self, String> {
        let (name, kind) = match text.strip_suffix("...") {
            Some(name) => (name, Kind::Across { least: 0 }),
            None => (text, Kind::InSegment),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(format!("has the capture {{{text}}}: its name must be of letters, digits and _"));
        }
        Ok(Self { name: name.to_owned(), kind })
    }
}

#[cfg(test)]
mod tests;
