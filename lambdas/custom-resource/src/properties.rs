//! The properties that a template gives a custom resource.

use serde_json::{Map, Value};

/// `ResourceProperties`, read tolerantly: CloudFormation sends numbers and booleans as text, and people who call the
/// function by hand do not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Properties(Map<String, Value>);

/// A property that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongProperty {
    name: String,
    value: String,
    expected: &'static str,
}

impl std::fmt::Display for WrongProperty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} must be {}.", self.name, self.value, self.expected)
    }
}

impl std::error::Error for WrongProperty {}

impl Properties {
    /// A text; empty if the property is missing.
    ///
    /// # Errors
    ///
    /// A list or an object is no text.
    pub fn text(&self, name: &str) -> Result<String, WrongProperty> {
        text(self.0.get(name)).ok_or_else(|| self.wrong(name, "a text"))
    }

    /// A list of texts: a list, or a text with commas. Blanks around a text and empty texts are left out; a missing
    /// property is an empty list.
    ///
    /// # Errors
    ///
    /// An object is no list, and a list or an object no text in it.
    pub fn list(&self, name: &str) -> Result<Vec<String>, WrongProperty> {
        let wrong = || self.wrong(name, "a list of texts");
        let texts = match self.0.get(name) {
            Some(Value::Array(items)) => {
                items.iter().map(|item| text(Some(item)).ok_or_else(wrong)).collect::<Result<_, _>>()?
            }
            other => text(other).ok_or_else(wrong)?.split(',').map(str::to_owned).collect::<Vec<_>>(),
        };
        Ok(texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()).map(str::to_owned).collect())
    }

    /// `true` or `false`, in any case and also as text; false if the property is missing or empty.
    ///
    /// # Errors
    ///
    /// Nothing else is one of them.
    pub fn flag(&self, name: &str) -> Result<bool, WrongProperty> {
        let wrong = || self.wrong(name, "true or false");
        match text(self.0.get(name)).ok_or_else(wrong)?.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" | "" => Ok(false),
            _ => Err(wrong()),
        }
    }

    /// All of them, as they came.
    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    fn wrong(&self, name: &str, expected: &'static str) -> WrongProperty {
        let value = shortened(self.0.get(name).unwrap_or(&Value::Null));
        WrongProperty { name: name.to_owned(), value, expected }
    }
}

impl From<Map<String, Value>> for Properties {
    fn from(properties: Map<String, Value>) -> Self {
        Self(properties)
    }
}

/// A value as text; nothing is an empty one.
fn text(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => Some(String::new()),
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Bool(flag)) => Some(flag.to_string()),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::Array(_) | Value::Object(_)) => None,
    }
}

/// A value as JSON, of which a message can be made.
pub(crate) fn shortened(value: &Value) -> String {
    const MOST: usize = 80;
    let json = value.to_string();
    if json.chars().count() <= MOST { json } else { json.chars().take(MOST).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Properties {
        Properties(Map::from_iter([("P".to_owned(), value)]))
    }

    #[test]
    fn cloudformation_sends_texts_and_people_send_what_they_mean() {
        for value in [json!(true), json!("true"), json!("True"), json!("TRUE")] {
            assert_eq!(of(value.clone()).flag("P"), Ok(true), "{value}");
        }
        for value in [json!(false), json!("false"), json!(""), Value::Null] {
            assert_eq!(of(value.clone()).flag("P"), Ok(false), "{value}");
        }
        assert_eq!(of(json!(7)).text("P"), Ok("7".to_owned()));
        assert_eq!(of(json!(7)).text("Q"), Ok(String::new()));
        for value in [json!("a, b,,"), json!(["a", " b", ""])] {
            assert_eq!(of(value.clone()).list("P"), Ok(vec!["a".to_owned(), "b".to_owned()]), "{value}");
        }
        assert_eq!(of(json!([])).list("P"), Ok(Vec::new()));
        assert_eq!(of(json!([])).list("Q"), Ok(Vec::new()));
    }

    #[test]
    fn a_wrong_property_is_said_with_its_name_and_its_value() {
        let says = |wrong: Result<_, WrongProperty>| wrong.map(|()| String::new()).unwrap_err().to_string();
        assert_eq!(says(of(json!("yes")).flag("P").map(drop)), r#"P: "yes" must be true or false."#);
        assert_eq!(says(of(json!(["a"])).text("P").map(drop)), r#"P: ["a"] must be a text."#);
        assert_eq!(says(of(json!([{}])).list("P").map(drop)), "P: [{}] must be a list of texts.");
        let long = says(of(json!(["ü".repeat(500)])).text("P").map(drop));
        assert!(long.len() < 250 && long.contains('…'), "{long}");
    }
}
