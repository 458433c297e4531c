//! JSON with JSONata expressions: a string `{% … %}` anywhere in it is an expression.
//!
//! Numbers are 64-bit floating point, as in JavaScript and in AWS's evaluator.

use std::fmt;

use jsonata_core::ast::AstNode;
use jsonata_core::evaluator::{Context, Evaluator};
use jsonata_core::parser;
use jsonata_core::value::JValue;
use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

/// A JSON value of a definition. It is parsed once and evaluated whenever its state is entered.
#[derive(Debug)]
pub enum Template {
    /// A value without expressions.
    Plain(JValue),
    /// An expression.
    Expression(Expression),
    /// An array with expressions.
    Array(Vec<Template>),
    /// An object with expressions.
    Object(Vec<(String, Template)>),
}

/// One `{% … %}`.
pub struct Expression {
    source: String,
    tree: AstNode,
}

impl fmt::Debug for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{% {} %}}", self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl Template {
    /// Parses the expressions of a JSON value. An error names the wrong expression.
    pub fn parse(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => match text.strip_prefix("{%").and_then(|text| text.strip_suffix("%}")) {
                Some(source) => Expression::parse(source.trim()).map(Self::Expression),
                None if text.contains("{%") => Err(format!("{text:?} is an expression in part only")),
                None => Ok(Self::Plain(text.into())),
            },
            Value::Array(items) => items.into_iter().map(Self::parse).collect::<Result<_, _>>().map(Self::Array),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| Ok((name, Self::parse(value)?)));
                members.collect::<Result<_, _>>().map(Self::Object)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Ok(Self::Plain(value.into())),
        }
    }

    /// Evaluates it with these variables, named without their `$`. An expression that fails or returns nothing is an
    /// error, which names it.
    pub fn value(&self, variables: &[(&str, Value)]) -> Result<Value, String> {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, JValue::from(value.clone()))).collect();
        self.evaluate(&variables).map(|value| to_json(&value))
    }

    /// The same with the evaluator's own values, which are cheap to clone.
    pub(super) fn evaluate(&self, variables: &[(&str, JValue)]) -> Result<JValue, String> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Expression(expression) => expression.evaluate(variables),
            Self::Array(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| item.evaluate(variables)).collect();
                items.map(JValue::array)
            }
            Self::Object(members) => {
                let members = members.iter().map(|(name, value)| Ok((name.clone(), value.evaluate(variables)?)));
                members.collect::<Result<_, _>>().map(JValue::object)
            }
        }
    }
}

/// Converts a value of the evaluator to JSON. Whole numbers have no fraction, as in JavaScript.
pub(super) fn to_json(value: &JValue) -> Value {
    serde_json::to_value(value).expect("the evaluator's values are JSON")
}

impl Expression {
    fn parse(source: &str) -> Result<Self, String> {
        let tree = parser::parse(source).map_err(|error| format!("{source}: {error}"))?;
        Ok(Self { source: source.to_owned(), tree })
    }

    fn evaluate(&self, variables: &[(&str, JValue)]) -> Result<JValue, String> {
        let mut context = Context::new();
        for (name, value) in variables {
            context.bind((*name).to_owned(), value.clone());
        }
        let value = Evaluator::with_context(context).evaluate(&self.tree, &JValue::Undefined);
        let value = value.map_err(|error| format!("the expression '{}' failed: {}", self.source, error.message()))?;
        if value.is_undefined() {
            return Err(format!("the expression '{}' returned nothing (undefined)", self.source));
        }
        if value.is_function() || value.is_regex() {
            return Err(format!("the expression '{}' returned a function", self.source));
        }
        Ok(value)
    }
}
