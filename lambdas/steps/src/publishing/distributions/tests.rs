use std::collections::BTreeMap;

use thaw_core::{Behaviour, Distribution};

use super::*;

struct Rewritten;

impl ReadDistributions for Rewritten {
    async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
        let behaviour = |pattern: &str| Behaviour { pattern: pattern.to_owned(), ..Behaviour::default() };
        let shown = Distribution {
            behaviours: vec![behaviour("img/*"), behaviour("*")],
            viewer_functions: BTreeMap::from([("img/*".to_owned(), "rewrite".to_owned())]),
            ..Distribution::default()
        };
        Ok(Distributions { shown: vec![shown], ..Distributions::default() })
    }
}

#[tokio::test]
async fn a_function_before_the_cache_may_change_what_is_shown_unless_the_operator_says_what_it_does() {
    for (directory_index, changes) in [("", [true, false]), ("index.html", [false, false])] {
        let settings = Settings { directory_index: directory_index.to_owned(), ..Settings::default() };
        let read = read("archive", &Rewritten, &settings).await.unwrap();
        let found: Vec<_> = read.shown[0].behaviours.iter().map(|one| one.has_origin_function).collect();
        assert_eq!(found, changes, "{directory_index}");
    }
}
