//! What holds for every filter and every manifest: fed by the properties here and by the targets in `fuzz/`.

use thaw_core::Glob;

/// A pattern is refused in few words, or it is kept as it is and matches what its rules say, which are written down here
/// the slow way.
pub fn glob(pattern: &str, key: &str) {
    let glob = match Glob::try_from(pattern.to_owned()) {
        Ok(glob) => glob,
        Err(error) => return assert!(error.to_string().len() <= 256, "{error}"),
    };
    let kept = serde_json::to_string(&glob).unwrap();
    assert_eq!(serde_json::from_str::<Glob>(&kept).unwrap(), glob);
    assert_eq!(String::from(glob.clone()), pattern);
    let matches = glob.matches(key);
    // The slow way takes a time that grows with the power of the stars, and it knows neither classes nor escapes.
    if pattern.len() <= 16 && key.len() <= 16 && !pattern.contains(['[', '\\']) {
        assert_eq!(matches, slowly(pattern, key), "{pattern:?} {key:?}");
    }
}

fn slowly(pattern: &str, key: &str) -> bool {
    let chars = |text: &str| text.chars().collect::<Vec<_>>();
    let (pattern, folder) = match pattern.strip_suffix('/') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let (from_the_beginning, pattern) = (pattern.contains('/'), pattern.strip_prefix('/').unwrap_or(pattern));
    let (pattern, text) = match (from_the_beginning, folder) {
        (true, true) => (format!("{pattern}/**"), key),
        (false, true) => (format!("**/{pattern}/**"), key),
        (true, false) => (pattern.to_owned(), key),
        (false, false) => (pattern.to_owned(), key.rsplit('/').next().unwrap()),
    };
    holds(&chars(&pattern), &chars(text), true)
}

/// Whether a pattern of characters and stars holds of the whole text. `fresh`: a segment of the pattern begins here.
fn holds(pattern: &[char], text: &[char], fresh: bool) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => {
            let rest = &rest[rest.iter().take_while(|char| **char == '*').count()..];
            (fresh && rest.first() == Some(&'/') && holds(&rest[1..], text, true))
                || (0..=text.len()).any(|end| holds(rest, &text[end..], false))
        }
        ['*', rest @ ..] => (0..=text.len()).any(|end| !text[..end].contains(&'/') && holds(rest, &text[end..], false)),
        ['?', rest @ ..] => text.first().is_some_and(|char| *char != '/') && holds(rest, &text[1..], false),
        [char, rest @ ..] => text.first() == Some(char) && holds(rest, &text[1..], *char == '/'),
    }
}
