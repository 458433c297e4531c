//! Reads `infra/template.yaml` and works out its functions, so that a test sees what CloudFormation would see.

use std::collections::{BTreeMap, BTreeSet};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// The template as it is written.
pub const TEXT: &str = include_str!("../../../infra/template.yaml");

/// The template with parameters filled in. What only AWS knows stays a name in braces: `{Ledger}`.
#[derive(Debug)]
pub struct Template {
    document: Value,
    parameters: BTreeMap<String, Value>,
}

/// One thing that a statement allows.
pub type Permission = (String, String);

impl Template {
    /// A stack called `thaw` for the archive buckets `one` and `two`, with these parameters besides.
    pub fn with(parameters: &[(&str, Value)]) -> Self {
        Self::of(TEXT, parameters)
    }

    /// The same of another text. What is named like a resource or a pseudo parameter is known, too: `Ledger`, `Plan.Arn`,
    /// `AWS::AccountId`.
    pub fn of(text: &str, parameters: &[(&str, Value)]) -> Self {
        let yaml = Yaml::load_from_str(text).expect("the template is YAML").remove(0);
        let mut template = Self { document: plain(&yaml), parameters: BTreeMap::new() };
        for (name, definition) in object(&template.document["Parameters"]) {
            template.parameters.insert(name.clone(), definition["Default"].clone());
        }
        let given = [("ArchiveBuckets", json!(["one", "two"])), ("DistributionIds", json!([""]))];
        for (name, value) in given.iter().chain(parameters) {
            template.parameters.insert((*name).to_owned(), value.clone());
        }
        template
    }

    /// That stack with everything else left to the defaults.
    pub fn load() -> Self {
        Self::with(&[])
    }

    /// The resources of one type, by logical id, each with its properties; without those whose condition does not hold.
    pub fn resources(&self, kind: &str) -> BTreeMap<String, Value> {
        let of_kind = self.made().filter(|(_, resource)| resource["Type"] == kind);
        of_kind.map(|(id, resource)| (id.clone(), self.evaluate(&resource["Properties"]))).collect()
    }

    /// The type of every resource, by logical id; without those whose condition does not hold.
    pub fn kinds(&self) -> BTreeMap<String, String> {
        self.made().map(|(id, resource)| (id.clone(), text(&resource["Type"]))).collect()
    }

    /// The ids of the resources of which the old one stays when a new one replaces it.
    pub fn kept_when_replaced(&self) -> BTreeSet<String> {
        let is_kept = |resource: &Value| resource["UpdateReplacePolicy"] == "Retain";
        self.made().filter(|(_, resource)| is_kept(resource)).map(|(id, _)| id.clone()).collect()
    }

    fn made(&self) -> impl Iterator<Item = (&String, &Value)> {
        let is_made = |resource: &Value| resource["Condition"].as_str().is_none_or(|name| self.holds(name));
        object(&self.document["Resources"]).iter().filter(move |(_, resource)| is_made(resource))
    }

    fn holds(&self, condition: &str) -> bool {
        self.evaluate(&self.document["Conditions"][condition]) == json!(true)
    }

    /// The properties of a resource.
    #[track_caller]
    pub fn resource(&self, id: &str) -> Value {
        let resource = &self.document["Resources"][id];
        assert!(resource.is_object(), "the template has no {id}");
        self.evaluate(&resource["Properties"])
    }

    /// The parameters, by name, each as it is declared.
    pub fn parameters(&self) -> &Map<String, Value> {
        object(&self.document["Parameters"])
    }

    /// The outputs, by name, each as it is declared.
    pub fn outputs(&self) -> &Map<String, Value> {
        object(&self.document["Outputs"])
    }

    /// The template's description of its parameters for the console.
    pub fn interface(&self) -> &Value {
        &self.document["Metadata"]["AWS::CloudFormation::Interface"]
    }

    /// What the rules say against the parameters.
    pub fn broken_rules(&self) -> Vec<String> {
        let holds = |condition: &Value| condition.is_null() || self.evaluate(condition) == json!(true);
        let rules = object(&self.document["Rules"]).values().filter(|rule| holds(&rule["RuleCondition"]));
        let assertions = rules.flat_map(|rule| list(&rule["Assertions"]));
        let broken = assertions.filter(|assertion| !holds(&assertion["Assert"]));
        broken.map(|assertion| text(&assertion["AssertDescription"])).collect()
    }

    /// The names of the parameters.
    pub fn parameter_names(&self) -> BTreeSet<String> {
        object(&self.document["Parameters"]).keys().cloned().collect()
    }

    /// The names of a resource's properties, also of those without a value.
    pub fn property_names(&self, id: &str) -> BTreeSet<String> {
        object(&self.document["Resources"][id]["Properties"]).keys().cloned().collect()
    }

    /// The resources that are there only under a condition.
    pub fn conditional(&self) -> BTreeSet<String> {
        let resources = object(&self.document["Resources"]).iter();
        resources.filter(|(_, resource)| resource.get("Condition").is_some()).map(|(id, _)| id.clone()).collect()
    }

    /// The logical ids of all resources, each with what it waits for: what it refers to, and what its `DependsOn` names.
    ///
    /// With `always` only what it waits for whatever the parameters are: not what is in one branch of an `Fn::If`, and no
    /// resource with a condition, which may be missing.
    pub fn waits_for(&self, always: bool) -> BTreeMap<String, BTreeSet<String>> {
        let resources = object(&self.document["Resources"]);
        let conditional = self.conditional();
        let is_meant = |id: &String| resources.contains_key(id) && !(always && conditional.contains(id));
        let wait = |resource: &Value| {
            let named = list(&resource["DependsOn"]).iter().map(text).collect();
            [referred(&resource["Properties"], always), named].concat().into_iter().filter(is_meant).collect()
        };
        resources.iter().map(|(id, resource)| (id.clone(), wait(resource))).collect()
    }

    /// Every type of resource in the template.
    pub fn types(&self) -> BTreeSet<String> {
        object(&self.document["Resources"]).values().map(|resource| text(&resource["Type"])).collect()
    }

    /// What a role may do: its own policies and those it shares. Panics at anything but plain permissions.
    pub fn permissions(&self, role: &str) -> BTreeSet<Permission> {
        self.policies(role).iter().flat_map(permissions).collect()
    }

    /// The documents of a role's policies: its own, and those it shares.
    pub fn policies(&self, role: &str) -> Vec<Value> {
        let attached = self.attached_to(role);
        let role = self.resource(role);
        let own = list(&role["Policies"]).into_iter().map(|policy| policy["PolicyDocument"].clone());
        let shared = list(&role["ManagedPolicyArns"])
            .into_iter()
            .map(|policy| self.resource(text(&policy).trim_matches(['{', '}']))["PolicyDocument"].clone());
        own.chain(shared).chain(attached).collect()
    }

    /// The documents of the policies that name the role, and are there with these parameters.
    fn attached_to(&self, role: &str) -> Vec<Value> {
        let is_there = |id: &str| match &self.document["Resources"][id]["Condition"] {
            Value::Null => true,
            condition => self.evaluate(&self.document["Conditions"][text(condition)]) == json!(true),
        };
        let names = |policy: &Value| list(&policy["Roles"]).iter().any(|one| *one == format!("{{{role}}}"));
        let policies = self.resources("AWS::IAM::ManagedPolicy").into_iter();
        let named = policies.filter(|(id, policy)| names(policy) && is_there(id));
        named.map(|(_, policy)| policy["PolicyDocument"].clone()).collect()
    }

    fn evaluate(&self, value: &Value) -> Value {
        if let Some(items) = value.as_array() {
            return items.iter().map(|item| self.evaluate(item)).filter(|item| !item.is_null()).collect();
        }
        let Some(members) = value.as_object() else { return value.clone() };
        if let Some((name, argument)) = members.iter().next().filter(|_| members.len() == 1) {
            if name == "Ref" {
                return self.reference(&text(argument));
            }
            if let Some(function) = name.strip_prefix("Fn::") {
                return self.call(function, argument);
            }
        }
        let members = members.iter().map(|(name, value)| (name.clone(), self.evaluate(value)));
        Value::Object(members.filter(|(_, value)| !value.is_null()).collect())
    }

    fn reference(&self, name: &str) -> Value {
        match (name, self.parameters.get(name)) {
            (_, Some(given)) => given.clone(),
            ("AWS::NoValue", None) => Value::Null,
            ("AWS::StackName", None) => json!("thaw"),
            ("AWS::Region", None) => json!("us-east-1"),
            ("AWS::AccountId", None) => json!("111122223333"),
            (_, None) => json!(format!("{{{name}}}")),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Value {
        if function == "If" {
            let branch = if self.holds(&text(&argument[0])) { 1 } else { 2 };
            return self.evaluate(&argument[branch]);
        }
        if function == "Sub" {
            return self.substitute(argument);
        }
        let argument = self.evaluate(argument);
        match function {
            "GetAtt" => self.reference(&text(&argument)),
            "Equals" => json!(argument[0] == argument[1]),
            "Not" => json!(argument[0] == json!(false)),
            "Or" => json!(list(&argument).contains(&json!(true))),
            "And" => json!(!list(&argument).contains(&json!(false))),
            "Contains" => json!(list(&argument[0]).contains(&argument[1])),
            "EachMemberEquals" => json!(list(&argument[0]).iter().all(|member| *member == argument[1])),
            "Select" => argument[1][argument[0].as_u64().expect("an index") as usize].clone(),
            "Split" => text(&argument[1]).split(&text(&argument[0])).collect(),
            "Join" => json!(list(&argument[1]).iter().map(text).collect::<Vec<_>>().join(&text(&argument[0]))),
            unknown => panic!("teach this test what Fn::{unknown} does"),
        }
    }

    fn substitute(&self, argument: &Value) -> Value {
        let (pattern, own) = match argument.as_array() {
            Some(pair) => (text(&pair[0]), self.evaluate(&pair[1])),
            None => (text(argument), Value::Null),
        };
        let mut pieces = pattern.split("${");
        let mut result = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').expect("a brace that opens also closes");
            let value = own.get(name).cloned().unwrap_or_else(|| self.reference(name));
            result += &text(&value);
            result += rest;
        }
        json!(result)
    }
}

/// The names that a value refers to; with `always` only those that it refers to whatever the conditions are.
fn referred(value: &Value, always: bool) -> Vec<String> {
    if let Some(items) = value.as_array() {
        return items.iter().flat_map(|item| referred(item, always)).collect();
    }
    let Some(members) = value.as_object() else { return Vec::new() };
    let of_member = |(name, argument): (&String, &Value)| match name.as_str() {
        "Ref" => vec![text(argument)],
        "Fn::GetAtt" => vec![text(argument).split('.').next().unwrap_or_default().to_owned()],
        "Fn::If" if always => {
            let other = referred(&argument[2], always);
            referred(&argument[1], always).into_iter().filter(|name| other.contains(name)).collect()
        }
        "Fn::Sub" => {
            let (pattern, own) = match argument.as_array() {
                Some(pair) => (text(&pair[0]), referred(&pair[1], always)),
                None => (text(argument), Vec::new()),
            };
            let names = pattern.split("${").skip(1).filter_map(|piece| piece.split(['}', '.']).next());
            names.map(str::to_owned).chain(own).collect()
        }
        _ => referred(argument, always),
    };
    members.iter().flat_map(of_member).collect()
}

/// What a policy document allows, one action on one resource each; several resources stand in one line.
pub fn permissions(document: &Value) -> Vec<Permission> {
    let mut found = Vec::new();
    for statement in list(&document["Statement"]).iter().filter(|statement| statement["Effect"] == "Allow") {
        assert!(statement.get("NotAction").is_none(), "an exception is no permission: {statement}");
        assert!(statement.get("NotResource").is_none(), "an exception is no resource: {statement}");
        let resource = list(&statement["Resource"]).iter().map(text).collect::<Vec<_>>().join(" ");
        found.extend(list(&statement["Action"]).iter().map(|action| (text(action), resource.clone())));
    }
    found
}

/// A value as a list: CloudFormation and IAM take one where they take many.
pub fn list(value: &Value) -> Vec<Value> {
    match value.as_array() {
        Some(items) => items.clone(),
        None if value.is_null() => Vec::new(),
        None => vec![value.clone()],
    }
}

/// A value that must be a string.
#[track_caller]
pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

/// A value that must be an object.
#[track_caller]
pub fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("not an object: {value}"))
}

/// YAML as JSON, with `!Sub x` in its long form, `{"Fn::Sub": x}`.
fn plain(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Tagged(tag, inner) => {
            let name = if tag.suffix == "Ref" { "Ref".to_owned() } else { format!("Fn::{}", tag.suffix) };
            json!({ name: plain(inner) })
        }
        Yaml::Mapping(members) => {
            members.iter().map(|(name, value)| (text(&plain(name)), plain(value))).collect::<Map<_, _>>().into()
        }
        Yaml::Sequence(items) => items.iter().map(plain).collect(),
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(value) => json!(value),
            Scalar::Integer(value) => json!(value),
            Scalar::FloatingPoint(value) => json!(value.into_inner()),
            Scalar::String(value) => json!(value),
        },
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => panic!("CloudFormation cannot read {yaml:?}"),
    }
}
