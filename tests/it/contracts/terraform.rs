//! The Terraform module has the template's parameters and outputs.
//!
//! After a change of either: `UPDATE_TERRAFORM=1 cargo test --package thaw-tests terraform` writes its variables and outputs anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hcl::eval::{Context, Evaluate, FuncArgs, FuncDef, ParamType};
use hcl::{Block, Body, Expression};
use regex_lite::Regex;
use serde_json::{Value, json};

use super::parameters::{RIGHT, WRONG};
use super::template::{self, Template, list, text};

const HEADER: &str =
    "# Made from the template. Where this is developed, a test holds it against the template, and writes it anew.\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/terraform")
}

/// What a variable is in Terraform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Text,
    Texts,
    Number,
    Bool,
}

impl Type {
    fn of(parameter: &Value) -> Self {
        match text(&parameter["Type"]).as_str() {
            "CommaDelimitedList" => Self::Texts,
            "Number" => Self::Number,
            "String" if parameter["AllowedValues"] == json!(["true", "false"]) => Self::Bool,
            "String" => Self::Text,
            other => panic!("teach this test what {other} is in Terraform"),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Texts => "list(string)",
            Self::Number => "number",
            Self::Bool => "bool",
        }
    }

    /// The value that a text in the template is; none if it is of another type.
    fn value(self, written: &str) -> Option<Value> {
        match self {
            Self::Text => Some(json!(written)),
            Self::Texts if written.is_empty() => Some(json!([])),
            Self::Texts => Some(written.split(',').map(str::trim).collect()),
            Self::Number => {
                written.parse::<u64>().ok().map(Value::from).or_else(|| written.parse::<f64>().ok().map(Value::from))
            }
            Self::Bool => written.parse::<bool>().ok().map(Value::from),
        }
    }

    /// The text of a variable, as CloudFormation takes it.
    fn as_text(self, variable: &str) -> String {
        match self {
            Self::Text => format!("var.{variable}"),
            Self::Texts => format!("join(\",\", var.{variable})"),
            Self::Number | Self::Bool => format!("tostring(var.{variable})"),
        }
    }
}

/// `ArchiveBuckets` is `archive_buckets`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// What a value is in HCL. Strings of JSON are its strings, but for what begins an interpolation.
fn hcl(value: &Value) -> String {
    let json = match value {
        Value::Array(items) => format!("[{}]", items.iter().map(hcl).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => value.to_string(),
    };
    json.replace("${", "$${").replace("%{", "%%{")
}

/// The template's words, with the variables in place of the parameters that they name. Names of one word are left: they are words.
fn words(template: &Template, words: &str) -> String {
    let mut words = words.to_owned();
    for name in
        template.parameters().keys().filter(|name| name.chars().filter(|letter| letter.is_uppercase()).count() > 1)
    {
        words = Regex::new(&format!(r"\b{name}\b")).unwrap().replace_all(&words, snake(name)).into_owned();
    }
    words
}

/// What a variable must be, where that is more than its type.
fn condition(name: &str, parameter: &Value) -> Option<String> {
    let (variable, kind) = (format!("var.{}", snake(name)), Type::of(parameter));
    let mut conditions = Vec::new();
    if let Some(pattern) = parameter["AllowedPattern"].as_str() {
        let whole = format!("^(?:{pattern})$");
        let matches = |what: &str| format!("length(regexall({}, {what})) > 0", hcl(&json!(whole)));
        match kind {
            Type::Texts => {
                // The template has a list of one empty text for an empty list.
                if !Regex::new(&whole).unwrap().is_match("") {
                    conditions.push(format!("length({variable}) > 0"));
                }
                conditions.push(format!("alltrue([for one in {variable} : {}])", matches("one")));
            }
            Type::Text | Type::Number | Type::Bool => conditions.push(matches(&variable)),
        }
    }
    if kind != Type::Bool && !parameter["AllowedValues"].is_null() {
        conditions.push(format!("contains({}, {variable})", hcl(&parameter["AllowedValues"])));
    }
    for (limit, what, sign) in [
        ("MinLength", format!("length({variable})"), ">="),
        ("MaxLength", format!("length({variable})"), "<="),
        ("MinValue", variable.clone(), ">="),
        ("MaxValue", variable.clone(), "<="),
    ] {
        if let Some(limit) = parameter[limit].as_u64() {
            conditions.push(format!("{what} {sign} {limit}"));
        }
    }
    (!conditions.is_empty()).then(|| conditions.join(" && "))
}

fn message(template: &Template, name: &str, parameter: &Value) -> String {
    let allowed = list(&parameter["AllowedValues"]);
    let says = match parameter["ConstraintDescription"].as_str() {
        // A list has no commas of its own in Terraform.
        Some(says) => Regex::new(",? with commas between them").unwrap().replace(says, "").into_owned(),
        None => {
            let shown = allowed.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            format!("must be one of {}.", shown.collect::<Vec<_>>().join(", "))
        }
    };
    format!("{} {}", snake(name), words(template, &says))
}

fn variables(template: &Template) -> String {
    let mut written = HEADER.to_owned();
    let mut all = Vec::new();
    for group in list(&template.interface()["ParameterGroups"]) {
        written += &format!("\n# {}\n", text(&group["Label"]["default"]));
        for name in list(&group["Parameters"]).iter().map(text) {
            let parameter = &template.parameters()[&name];
            let kind = Type::of(parameter);
            written += &format!("\nvariable {} {{\n", hcl(&json!(snake(&name))));
            written += &format!("  type        = {}\n", kind.name());
            let description = words(template, &text(&parameter["Description"]));
            written += &format!("  description = {}\n", hcl(&json!(description)));
            if let Some(default) = parameter.get("Default") {
                let default =
                    default.as_str().map_or_else(|| default.clone(), |text| kind.value(text).expect("a default"));
                written += &format!("  default     = {}\n", hcl(&default));
            }
            written += "  nullable    = false\n";
            if let Some(condition) = condition(&name, parameter) {
                let message = hcl(&json!(message(template, &name, parameter)));
                written += "\n  validation {\n";
                written += &format!("    condition     = {condition}\n    error_message = {message}\n  }}\n");
            }
            written += "}\n";
            all.push((name.clone(), kind.as_text(&snake(&name))));
        }
    }
    let widest = all.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = all.iter().map(|(name, value)| format!("    {name:widest$} = {value}\n")).collect::<String>();
    written + "\nlocals {\n  parameters = {\n" + &lines + "  }\n}\n"
}

fn outputs(template: &Template) -> String {
    let sorted: BTreeMap<_, _> = template.outputs().iter().collect();
    let mut written = HEADER.to_owned();
    for (name, output) in sorted {
        written += &format!("\noutput {} {{\n", hcl(&json!(snake(name))));
        let value = format!("aws_cloudformation_stack.thaw.outputs[{}]", hcl(&json!(name)));
        match output["Description"].as_str() {
            Some(description) => {
                written += &format!("  description = {}\n  value       = {value}\n", hcl(&json!(description)));
            }
            None => written += &format!("  value = {value}\n"),
        }
        written += "}\n";
    }
    written
}

#[test]
fn the_variables_and_outputs_are_the_templates() {
    let template = Template::load();
    for (file, said) in [("variables.tf", variables(&template)), ("outputs.tf", outputs(&template))] {
        let path = folder().join(file);
        if std::env::var_os("UPDATE_TERRAFORM").is_some() {
            std::fs::write(&path, &said).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = said.lines().zip(written.lines()).position(|(said, written)| said != written);
        assert!(
            said == written,
            "infra/terraform/{file} differs from the template (first in line {}). UPDATE_TERRAFORM=1 cargo test --package thaw-tests \
             terraform",
            differs.map_or_else(|| said.lines().count().min(written.lines().count()) + 1, |line| line + 1),
        );
    }
}

/// A file of the module, as a parser of HCL reads it.
fn file(name: &str) -> Body {
    let text = std::fs::read_to_string(folder().join(name)).unwrap();
    hcl::from_str(&text).unwrap_or_else(|error| panic!("infra/terraform/{name}: {error}"))
}

fn module() -> Vec<Block> {
    ["main.tf", "variables.tf", "outputs.tf"].into_iter().flat_map(|name| file(name).into_blocks()).collect()
}

/// The blocks of a type, by their last labels.
fn blocks<'m>(module: &'m [Block], kind: &str) -> BTreeMap<&'m str, &'m Block> {
    let of_kind = module.iter().filter(|block| block.identifier() == kind);
    of_kind.map(|block| (block.labels().last().map_or("", |label| label.as_str()), block)).collect()
}

#[track_caller]
fn attribute<'m>(body: &'m Body, name: &str) -> &'m Expression {
    let found = body.attributes().find(|attribute| attribute.key() == name);
    found.unwrap_or_else(|| panic!("there is no {name} in {body:?}")).expr()
}

/// Terraform's functions, as its documentation describes them.
fn functions() -> Context<'static> {
    type Answer = Result<hcl::Value, String>;
    fn length(args: FuncArgs) -> Answer {
        let text = |text: &str| text.chars().count();
        Ok(args[0].as_str().map_or_else(|| args[0].as_array().unwrap().len(), text).into())
    }
    fn regexall(args: FuncArgs) -> Answer {
        let pattern = Regex::new(args[0].as_str().unwrap()).map_err(|error| error.to_string())?;
        Ok(pattern.find_iter(args[1].as_str().unwrap()).map(|found| found.as_str().to_owned()).collect())
    }
    fn regex(args: FuncArgs) -> Answer {
        let pattern = Regex::new(args[0].as_str().unwrap()).map_err(|error| error.to_string())?;
        let found = pattern.captures(args[1].as_str().unwrap()).ok_or("nothing matches")?;
        Ok(found.iter().skip(1).flatten().map(|group| group.as_str().to_owned()).collect())
    }
    fn alltrue(args: FuncArgs) -> Answer {
        Ok(args[0].as_array().unwrap().iter().all(|one| one.as_bool().unwrap()).into())
    }
    fn contains(args: FuncArgs) -> Answer {
        Ok(args[0].as_array().unwrap().contains(&args[1]).into())
    }
    fn join(args: FuncArgs) -> Answer {
        let texts: Vec<_> = args[1].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        Ok(texts.join(args[0].as_str().unwrap()).into())
    }
    fn tostring(args: FuncArgs) -> Answer {
        Ok(args[0].to_string().into())
    }
    fn same(args: FuncArgs) -> Answer {
        Ok(args[0].clone())
    }
    let mut context = Context::new();
    let one = |function| FuncDef::builder().param(ParamType::Any).build(function);
    let two = |function| FuncDef::builder().params([ParamType::Any, ParamType::Any]).build(function);
    context.declare_func("length", one(length));
    context.declare_func("alltrue", one(alltrue));
    context.declare_func("tostring", one(tostring));
    context.declare_func("toset", one(same));
    context.declare_func("jsonencode", one(same));
    context.declare_func("regexall", two(regexall));
    context.declare_func("regex", two(regex));
    context.declare_func("contains", two(contains));
    context.declare_func("join", two(join));
    context
}

fn evaluated(context: &Context<'_>, expression: &Expression) -> Value {
    let value = expression.evaluate(context).unwrap_or_else(|error| panic!("{error}"));
    serde_json::to_value(value).unwrap()
}

fn with_variables(variables: &Value) -> Context<'static> {
    let mut context = functions();
    context.declare_var("var", serde_json::from_value::<hcl::Value>(variables.clone()).unwrap());
    context
}

/// What Terraform says to a value of a parameter, as it is written in the template; none if it takes it.
fn refusal(template: &Template, module: &[Block], name: &str, written: &str) -> Option<String> {
    let variable = snake(name);
    let block = blocks(module, "variable")[&*variable];
    let Some(value) = Type::of(&template.parameters()[name]).value(written) else {
        return Some(String::from("it is of another type"));
    };
    let context = with_variables(&json!({ variable: value }));
    let mut validations = block.body().blocks().filter(|block| block.identifier() == "validation");
    let fails = |validation: &&Block| evaluated(&context, attribute(validation.body(), "condition")) == json!(false);
    let message = |validation: &Block| text(&evaluated(&context, attribute(validation.body(), "error_message")));
    validations.find(fails).map(message)
}

#[test]
fn terraform_refuses_and_takes_what_cloudformation_does() {
    let (module, template) = (module(), Template::load());
    for (name, value, words) in WRONG {
        let words = words.replace(" with commas between them", "");
        let refusal = refusal(&template, &module, name, value);
        let is_said = refusal.as_ref().is_some_and(|says| says.contains(&words) || says == "it is of another type");
        assert!(is_said, "{name}={value:?}: {refusal:?}");
    }
    for (name, value) in RIGHT {
        assert_eq!(refusal(&template, &module, name, value), None, "{name}={value:?}");
    }
}

#[test]
fn the_stack_gets_every_parameter_with_the_templates_default() {
    let (module, template) = (module(), Template::load());
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (mut variables, mut expected) = (json!({}), json!({}));
    for (name, parameter) in template.parameters() {
        let block = blocks(&module, "variable")[&*snake(name)];
        let default = block.body().attributes().find(|attribute| attribute.key() == "default");
        assert_eq!(default.is_some(), parameter.get("Default").is_some(), "{name}");
        let value = default.map_or_else(|| json!(["one", "two"]), |default| evaluated(&functions(), default.expr()));
        variables[snake(name)] = if name == "CodeBucket" { json!("code") } else { value };
        expected[name] = match (name.as_str(), parameter.get("Default")) {
            (_, Some(default)) => json!(shown(default)),
            ("CodeBucket", None) => json!("code"),
            (_, None) => json!("one,two"),
        };
    }
    let locals = module.iter().filter(|block| block.identifier() == "locals");
    let parameters = locals.flat_map(|block| block.body().attributes()).find(|local| local.key() == "parameters");
    let given = evaluated(&with_variables(&variables), parameters.unwrap().expr());
    assert_eq!(given, expected);
}

#[test]
fn the_module_uses_what_it_declares_and_what_the_provider_documents() {
    let module = module();
    // Arguments of these in version 6 of the provider.
    let arguments: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("aws_region", &[] as &[&str]),
        ("aws_s3_object", &["bucket", "key", "source"]),
        (
            "aws_cloudformation_stack",
            &["name", "template_url", "capabilities", "parameters", "tags", "on_failure", "policy_body"],
        ),
    ]);
    const OF_TERRAFORM: [&str; 2] = ["for_each", "depends_on"];
    let mut used = BTreeSet::new();
    for block in module.iter().filter(|block| ["data", "resource"].contains(&block.identifier())) {
        let kind = block.labels()[0].as_str();
        used.insert(kind);
        for attribute in block.body().attributes() {
            let is_known = arguments[kind].contains(&attribute.key()) || OF_TERRAFORM.contains(&attribute.key());
            assert!(is_known, "{kind} has no {}", attribute.key());
        }
    }
    assert_eq!(used, arguments.keys().copied().collect());

    let whole: String = ["main.tf", "variables.tf", "outputs.tf"]
        .map(|name| std::fs::read_to_string(folder().join(name)).unwrap())
        .concat();
    let named = |pattern: &str| -> BTreeSet<String> {
        Regex::new(pattern).unwrap().captures_iter(&whole).map(|found| found[1].to_owned()).collect()
    };
    let declared = blocks(&module, "variable").into_keys().map(str::to_owned).collect();
    assert_eq!(named(r"\bvar\.(\w+)"), declared, "variables that are used (left) and declared (right)");
}

#[test]
fn the_release_is_that_of_the_template() {
    let module = module();
    let release =
        module.iter().filter(|block| block.identifier() == "locals").flat_map(|block| block.body().attributes());
    let release = release.into_iter().find(|local| local.key() == "release").unwrap().expr();
    let mut context = functions();
    let file = FuncDef::builder().param(ParamType::Any).build(|_| Ok(template::TEXT.into()));
    context.declare_func("file", file);
    context.declare_var("local", serde_json::from_value::<hcl::Value>(json!({ "package": ".." })).unwrap());
    assert_eq!(evaluated(&context, release), json!("unpackaged"));
}

#[test]
fn the_policy_of_the_stack_protects_what_has_restores_and_nothing_else() {
    let (module, template) = (module(), Template::load());
    let stack = blocks(&module, "resource")["thaw"].body();
    let policy = evaluated(&functions(), attribute(stack, "policy_body"));
    let denied = &policy["Statement"][1];
    assert_eq!((&denied["Effect"], &denied["Action"]), (&json!("Deny"), &json!(["Update:Replace", "Update:Delete"])));
    let types: BTreeSet<String> = list(&denied["Condition"]["StringEquals"]["ResourceType"]).iter().map(text).collect();
    let kinds = template.kinds();
    let of_types: BTreeSet<_> =
        kinds.iter().filter(|(_, kind)| types.contains(*kind)).map(|(id, _)| id.clone()).collect();
    // Of a function, each release has another version, and the old one stays for the restores that run.
    let mut kept = template.kept_when_replaced();
    kept.retain(|id| kinds[id] != "AWS::Lambda::Version");
    assert_eq!(of_types, kept);
}
