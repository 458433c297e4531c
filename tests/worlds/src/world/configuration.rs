//! The distributions of a world, and what thaw is told of their functions.

use serde_json::json;

use super::{Behaviour, Distribution, Function, PRIMARY, Rule, SECOND, STAGING, World};
use crate::known_bug;

impl World {
    /// All distributions. The primary one is the first.
    pub fn distributions(&self) -> Vec<Distribution> {
        let primary = Distribution {
            id: PRIMARY,
            origin_path: self.origin_path,
            behaviours: vec![Behaviour {
                function: self.function,
                ..Behaviour::default(true, self.caches_by_query_string)
            }],
            caches_errors: self.caches_errors,
            has_holding_page: false,
            has_viewers: true,
        };
        let staging = self.staging.as_ref().map(|staging| Distribution {
            id: STAGING,
            behaviours: vec![Behaviour {
                // A rule of the primary distribution is none of the staging distribution.
                function: self.function.map(|function| match function.rule {
                    Rule::OfAllDistributions => function,
                    Rule::Missing | Rule::OfItsDistribution | Rule::OfItsBehaviour => {
                        Function { rule: Rule::Missing, ..function }
                    }
                }),
                ..Behaviour::default(true, staging.caches_by_query_string)
            }],
            caches_errors: staging.caches_errors,
            has_viewers: staging.is_policy_enabled,
            ..primary.clone()
        });
        [Some(primary), self.second.clone(), staging].into_iter().flatten().collect()
    }

    /// The parameter `PathRules` of the stack.
    pub fn path_rules(&self) -> String {
        let distributions = self.distributions();
        let functions = distributions.iter().flat_map(|distribution| {
            let behaviours = distribution.behaviours.iter();
            behaviours.filter_map(move |behaviour| Some((distribution, behaviour, behaviour.function?)))
        });
        let mut rules = Vec::new();
        for (distribution, behaviour, Function { rewrite, rule, .. }) in functions {
            let origin_path = distribution.key_prefix();
            let mut declared = json!({"keys": format!("{origin_path}{}", rewrite.keys), "paths": [rewrite.paths]});
            let id = known_bug::distribution_of_rule(self.known_bug, [PRIMARY, SECOND], distribution.id);
            match rule {
                Rule::Missing => continue,
                Rule::OfItsDistribution => declared["distribution"] = json!(id),
                Rule::OfItsBehaviour => {
                    declared["distribution"] = json!(id);
                    declared["behaviour"] = json!(behaviour.pattern);
                }
                Rule::OfAllDistributions => {}
            }
            if !rules.contains(&declared) {
                rules.push(declared);
            }
        }
        if rules.is_empty() { String::new() } else { json!(rules).to_string() }
    }

    /// The distribution with this id.
    pub fn distribution(&self, id: &str) -> Option<Distribution> {
        self.distributions().into_iter().find(|distribution| distribution.id == id)
    }

    /// The distributions that viewers ask.
    pub fn viewed_distributions(&self) -> impl Iterator<Item = Distribution> {
        self.distributions().into_iter().filter(|distribution| distribution.has_viewers)
    }
}
