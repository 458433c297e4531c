//! A name for what is deployed: the code and all parameters.

use serde_json::Value;
use thaw_core::hash_bytes;
use thaw_custom_resource::Properties;

/// The first digits of a SHA-256 over all properties of the custom resource, in hexadecimal. The template gives it the
/// release of the code and every parameter, so any change gives another one.
pub(super) fn release(properties: &Properties) -> String {
    const DIGITS: usize = 12;
    let mut hash = hash_bytes(canonical(&Value::Object(properties.as_map().clone())).as_bytes());
    hash.truncate(DIGITS);
    hash
}

/// JSON with the members of each object in the order of their names.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members =
                members.into_iter().map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), canonical(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(properties: Value) -> String {
        let Value::Object(properties) = properties else { panic!("{properties} is no object") };
        release(&properties.into())
    }

    #[test]
    fn any_change_is_another_release_and_the_order_is_none() {
        let release = of(json!({"A": "1", "B": {"C": ["x", "y"], "D": ""}}));
        assert!(release.len() == 12 && release.bytes().all(|byte| byte.is_ascii_hexdigit()), "{release}");
        assert_eq!(release, of(json!({"B": {"D": "", "C": ["x", "y"]}, "A": "1"})));
        for other in [
            json!({"A": "1", "B": {"C": ["x", "y"], "D": "1"}}),
            json!({"A": "1", "B": {"C": ["y", "x"], "D": ""}}),
            json!({"A": "1", "B": {"C": ["x,y"], "D": ""}}),
            json!({"A": "1,B", "B": {"C": ["x", "y"], "D": ""}}),
            json!({"A": "1"}),
        ] {
            assert_ne!(release, of(other.clone()), "{other}");
        }
    }
}
