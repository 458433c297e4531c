use std::collections::BTreeMap;

use thaw_core::{Behaviour, Distribution, PathRules};

use super::*;

struct Rewritten;

impl ReadDistributions for Rewritten {
    async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
        let behaviour = |pattern: &str| Behaviour { pattern: pattern.to_owned(), ..Behaviour::default() };
        let shown = Distribution {
            id: "E1".to_owned(),
            behaviours: vec![behaviour("img/*"), behaviour("/api/*"), behaviour("*")],
            viewer_functions: BTreeMap::from([("img/*".to_owned(), "rewrite".to_owned())]),
            origin_functions: BTreeMap::from([("*".to_owned(), "folder:1".to_owned())]),
            ..Distribution::default()
        };
        Ok(Distributions { shown: vec![shown], ..Distributions::default() })
    }
}

#[tokio::test]
async fn a_function_may_change_what_is_shown_unless_the_operator_says_what_it_does() {
    let one = r#"[{"keys": "images/{p...}", "paths": ["/img/{p...}"]}]"#;
    let other = r#"[{"keys": "site/{p...}", "paths": ["/{p...}"]}]"#;
    let named = r#"[{"distribution": "E1", "behaviour": "/img/*", "keys": "{p...}", "paths": ["/{p...}"]}]"#;
    let elsewhere = r#"[{"distribution": "E2", "keys": "{p...}", "paths": ["/{p...}"]}]"#;
    for (directory_index, path_rules, changes) in [
        ("", "", [true, false, true]),
        ("index.html", "", [false, false, false]),
        ("", one, [false, false, true]),
        // Its paths may be served by each of the behaviours.
        ("", other, [false, false, false]),
        ("", named, [false, false, true]),
        ("", elsewhere, [true, false, true]),
    ] {
        let path_rules = PathRules::new(directory_index, path_rules).unwrap();
        let settings = Settings { path_rules: path_rules.clone(), ..Settings::default() };
        let read = read("archive", &Rewritten, &settings).await.unwrap();
        let found: Vec<_> = read.shown[0].behaviours.iter().map(|one| one.has_origin_function).collect();
        assert_eq!(found, changes, "{path_rules:?}");
    }
}
