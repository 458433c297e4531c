//! Whether an answer is what the OpenAPI document describes. Also a module of the command's tests.

use std::collections::BTreeMap;

use serde_json::Value;

/// The schema of thaw's answer to a call, such as `GET /v1/restores/r`. `None` if the document has no such call or answer.
pub fn of_answer<'a>(document: &'a Value, method: &str, path: &str, status: u16) -> Option<&'a Value> {
    let is_path = |template: &str| {
        let [template, path] = [template, path].map(|path| path.split('/').collect::<Vec<_>>());
        template.len() == path.len()
            && template.iter().zip(&path).all(|(template, part)| template.starts_with('{') || template == part)
    };
    // A path without a placeholder comes first.
    let (_, call) = document["paths"].as_object()?.iter().find(|(template, _)| is_path(template))?;
    let content = &call[method.to_lowercase()]["responses"][status.to_string()]["content"];
    // Beside its problems there are API Gateway's own answers.
    let content = content.get("application/problem+json").or_else(|| content.get("application/json"));
    content.map(|content| &content["schema"])
}

/// What a value has that its schema does not know, or lacks that its schema requires.
pub fn misfits(value: &Value, schema: &Value, document: &Value, place: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = document.pointer(reference.trim_start_matches('#')).expect("references are there");
        return misfits(value, schema, document, place);
    }
    match value {
        Value::Object(fields) => {
            let known: BTreeMap<&String, &Value> = schema["properties"].as_object().into_iter().flatten().collect();
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing = required.filter(|field| !fields.contains_key(*field)).map(|field| format!("{place}.{field}"));
            let mut found: Vec<String> = missing.collect();
            for (field, value) in fields {
                let place = format!("{place}.{field}");
                match known.get(field) {
                    Some(schema) => found.extend(misfits(value, schema, document, &place)),
                    None if schema["additionalProperties"].is_object() => {
                        found.extend(misfits(value, &schema["additionalProperties"], document, &place));
                    }
                    None => found.push(place),
                }
            }
            found
        }
        Value::Array(items) => {
            let item = |(place, value): (String, &Value)| misfits(value, &schema["items"], document, &place);
            items.iter().enumerate().map(|(n, value)| (format!("{place}[{n}]"), value)).flat_map(item).collect()
        }
        Value::String(text) => {
            let words = schema["enum"].as_array();
            let is_known = words.is_none_or(|words| words.iter().any(|word| word == text));
            if is_known { Vec::new() } else { vec![format!("{place} {text}")] }
        }
        Value::Null => vec![place.to_owned()],
        Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}
