//! The form for a new restore, and the request that it stands for: the same that the command line makes.

use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thaw_core::{PublishWhen, Tier, Usd};

use crate::args::{How, Which};
use crate::console::page::{Mode, Page, problem};
use crate::error::Error;
use crate::selection;

/// The fields, as they were typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Form {
    /// Addresses, one a line.
    pub objects: String,
    pub which: Meaning,
    /// Patterns, one a line.
    pub include: String,
    pub exclude: String,
    pub tier: Tier,
    pub days: String,
    pub max_cost: String,
    pub publish: PublishWhen,
}

/// What the addresses mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    /// Each is an object.
    Keys,
    /// One is the beginning of keys.
    Prefix,
    /// One is a list of objects.
    Manifest,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            objects: String::new(),
            which: Meaning::Keys,
            include: String::new(),
            exclude: String::new(),
            tier: Tier::Standard,
            days: "3".to_owned(),
            max_cost: String::new(),
            publish: PublishWhen::Each,
        }
    }
}

impl Form {
    /// The body of `POST /v1/plans` and `POST /v1/restores`.
    pub fn request(&self) -> Result<serde_json::Map<String, Value>, Error> {
        let uris = lines(&self.objects);
        let is_prefix = self.which == Meaning::Prefix;
        let patterns = |text: &str| if is_prefix { lines(text) } else { Vec::new() };
        let manifest = match (self.which, uris.as_slice()) {
            (Meaning::Keys | Meaning::Prefix, _) => None,
            (Meaning::Manifest, [uri]) => Some(uri.clone()),
            (Meaning::Manifest, _) => return Err(Error::Usage("A list is one s3://bucket/key.".to_owned())),
        };
        let which = Which {
            uris: if manifest.is_some() { Vec::new() } else { uris },
            recursive: is_prefix,
            include: patterns(&self.include),
            exclude: patterns(&self.exclude),
            modified_after: None,
            modified_before: None,
            from_file: None,
            manifest,
            bucket: None,
        };
        let how =
            How { tier: Some(self.tier), days: self.days()?, max_cost: self.max_cost()?, publish: Some(self.publish) };
        selection::request(&which, &how)
    }

    /// No days are those of the API.
    fn days(&self) -> Result<Option<u32>, Error> {
        match self.days.trim() {
            "" => Ok(None),
            days => days
                .parse()
                .map(Some)
                .map_err(|_| Error::Usage(format!("Days is {days:?}. Write a number, such as 3."))),
        }
    }

    fn max_cost(&self) -> Result<Option<Usd>, Error> {
        match self.max_cost.trim().trim_start_matches('$') {
            "" => Ok(None),
            usd => usd.parse().ok().and_then(Usd::from_f64).map(Some).ok_or_else(|| {
                Error::Usage(format!("The most that it may cost is {usd:?}. Write US dollars, such as 5 or 0.50."))
            }),
        }
    }

    /// The fields as hidden inputs, with one of them changed.
    pub fn hidden(&self, tier: Tier) -> Markup {
        let form = Self { tier, ..self.clone() };
        let fields = serde_json::to_value(&form).unwrap_or_default();
        let fields: Vec<(String, String)> = fields
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect();
        html! { @for (name, value) in &fields { input type="hidden" name=(name) value=(value); } }
    }

    /// The page with the form, and what was wrong with it.
    pub fn page(&self, error: Option<&Error>, mode: Mode) -> Page {
        let main = html! {
            h1 { @match mode { Mode::Changes => "New restore", Mode::ReadOnly => "Plan a restore" } }
            p.note { "First comes the plan: what it would do, take and cost. Nothing is started before you have seen the price." }
            @if let Some(error) = error { (problem(error)) }
            form.request method="post" action="/plan" {
                (self.which())
                (self.how())
                button #plan .main { "Show the plan" }
            }
        };
        Page { status: if error.is_some() { 422 } else { 200 }, ..Page::still("New restore", main) }
    }

    fn which(&self) -> Markup {
        let meanings = [
            (Meaning::Keys, "keys", "These objects"),
            (Meaning::Prefix, "prefix", "All objects that begin so (--recursive)"),
            (Meaning::Manifest, "manifest", "The objects of this list (a manifest)"),
        ];
        html! {
            fieldset {
                legend { "Which objects" }
                label for="uris" { "Addresses in S3, one a line" }
                textarea #uris name="objects" rows="4" required spellcheck="false" autocomplete="off" placeholder="s3://my-archive/photos/2019/cat.jpg" { (self.objects) }
                @for (meaning, value, label) in meanings {
                    label.choice { input type="radio" name="which" value=(value) checked[self.which == meaning]; " " (label) }
                }
                details #patterns open[!self.include.is_empty() || !self.exclude.is_empty()] {
                    summary { "Only some of them" }
                    p.note { "Patterns as in .gitignore, one a line; for objects that begin so." }
                    label for="include" { "Only keys that match" }
                    textarea #include name="include" rows="2" spellcheck="false" { (self.include) }
                    label for="exclude" { "No keys that match" }
                    textarea #exclude name="exclude" rows="2" spellcheck="false" { (self.exclude) }
                }
            }
        }
    }

    fn how(&self) -> Markup {
        let tiers = [
            (Tier::Expedited, "1 to 5 minutes; not for Deep Archive"),
            (Tier::Standard, "3 to 12 hours"),
            (Tier::Bulk, "5 to 48 hours; cheapest"),
        ];
        let publish = [
            (PublishWhen::Each, "each", "each object when it can be read"),
            (PublishWhen::Together, "together", "all when the last can be read"),
            (PublishWhen::Never, "never", "never: do not invalidate"),
        ];
        html! {
            fieldset {
                legend { "How" }
                div.choices role="radiogroup" aria-label="Tier" {
                    @for (tier, says) in tiers {
                        label.choice { input type="radio" name="tier" value=(tier.as_str()) checked[self.tier == tier]; " " (tier.as_str()) span.note { ": " (says) } }
                    }
                }
                div.fields {
                    div { label for="days" { "Days for which copies stay" } input #days name="days" type="number" min="1" max="36500" value=(self.days); }
                    div { label for="max-cost" { "Refuse if it costs more than, in USD" } input #max-cost name="max_cost" inputmode="decimal" autocomplete="off" value=(self.max_cost) placeholder="no limit"; }
                    div { label for="publish" { "Show on CloudFront" } select #publish name="publish" {
                        @for (when, value, label) in publish { option value=(value) selected[self.publish == when] { (label) } }
                    } }
                }
            }
        }
    }
}

/// The lines of a text that have something.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(objects: &str, which: Meaning) -> Form {
        Form { objects: objects.to_owned(), which, ..Form::default() }
    }

    #[test]
    fn the_form_stands_for_the_request_of_the_command_line() {
        let how = json!({ "tier": "Standard", "days": 3, "publish": { "when": "each" } });
        for (form, which) in [
            (
                form(" s3://b/a 1 \r\n\r\ns3://b/b%20c\n", Meaning::Keys),
                json!({ "bucket": "b", "keys": ["a 1", "b%20c"] }),
            ),
            (form("s3://b/p/", Meaning::Prefix), json!({ "bucket": "b", "prefix": "p/" })),
            (
                Form { include: "*.jpg\n".to_owned(), exclude: "tmp/".to_owned(), ..form("s3://b", Meaning::Prefix) },
                json!({ "bucket": "b", "prefix": "", "include": ["*.jpg"], "exclude": ["tmp/"] }),
            ),
            (form("s3://b/list.csv", Meaning::Manifest), json!({ "bucket": "b", "manifest": "s3://b/list.csv" })),
        ] {
            let mut expected = which.as_object().unwrap().clone();
            expected.extend(how.as_object().unwrap().clone());
            assert_eq!(Value::from(form.request().unwrap()), Value::from(expected), "{form:?}");
        }
        let limited = Form { max_cost: "$0.50".to_owned(), days: " ".to_owned(), ..form("s3://b/a", Meaning::Keys) };
        let request = limited.request().unwrap();
        assert_eq!((request.get("max_cost_usd"), request.get("days")), (Some(&json!(0.5)), None));
    }

    #[test]
    fn a_wrong_field_is_named_with_its_value() {
        for (form, words) in [
            (form("", Meaning::Keys), "Name objects"),
            (form("cat.jpg", Meaning::Keys), "cat.jpg is not an S3 address"),
            (form("s3://b/1\ns3://b/2", Meaning::Manifest), "A list is one"),
            (Form { days: "soon".to_owned(), ..form("s3://b/a", Meaning::Keys) }, "Days is \"soon\""),
            (Form { max_cost: "much".to_owned(), ..form("s3://b/a", Meaning::Keys) }, "may cost is \"much\""),
        ] {
            let error = form.request().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn what_was_typed_comes_back_as_text() {
        let hostile = r#"s3://b/"><script>alert(1)</script>"#;
        let form = form(hostile, Meaning::Keys);
        let hidden = form.hidden(Tier::Bulk).into_string();
        assert!(
            !hidden.contains("<script") && hidden.contains("&lt;script&gt;") && hidden.contains("\"Bulk\""),
            "{hidden}"
        );
        let page = form.page(None, Mode::Changes).main.into_string();
        assert!(!page.contains("<script"), "{page}");
    }
}
