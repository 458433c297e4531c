//! The notification configuration of a bucket: whether its events go to EventBridge.
//!
//! S3 replaces the whole configuration at once. So the text that S3 sent is changed in one place, and all else in it goes
//! back as it came, also what this code does not know.

use roxmltree::{Document, Node};

/// The element that sends a bucket's events to EventBridge. It is empty: all events are sent (API Reference,
/// "EventBridgeConfiguration").
const ELEMENT: &str = "EventBridgeConfiguration";

/// An answer of S3 that is not a notification configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("S3 sent a notification configuration that cannot be read: {0}")]
pub struct UnreadableNotifications(String);

/// Whether a notification configuration sends the bucket's events to EventBridge.
///
/// # Errors
///
/// The text is no notification configuration.
pub fn sends_to_eventbridge(xml: &str) -> Result<bool, UnreadableNotifications> {
    let document = parse(xml)?;
    Ok(elements(&document).next().is_some())
}

/// The same configuration with the bucket's events sent to EventBridge.
///
/// # Errors
///
/// The text is no notification configuration.
pub fn with_eventbridge(xml: &str) -> Result<String, UnreadableNotifications> {
    let document = parse(xml)?;
    if elements(&document).next().is_some() {
        return Ok(xml.to_owned());
    }
    let root = document.root_element().range();
    let (before, rest) = (&xml[..root.start], &xml[root.end..]);
    let whole = &xml[root];
    let written = match (whole.strip_suffix("/>"), whole.rfind("</")) {
        // An empty element. Its name goes to the first blank, or to its end.
        (Some(start), _) => {
            let name = start[1..].split(char::is_whitespace).next().unwrap_or_default();
            format!("{}><{ELEMENT}/></{name}>", start.trim_end())
        }
        (None, Some(end)) => format!("{}<{ELEMENT}/>{}", &whole[..end], &whole[end..]),
        (None, None) => return Err(UnreadableNotifications("its element has no end".to_owned())),
    };
    Ok(format!("{before}{written}{rest}"))
}

/// The same configuration without the bucket's events sent to EventBridge. It undoes [`with_eventbridge`] byte for byte.
///
/// # Errors
///
/// The text is no notification configuration.
pub fn without_eventbridge(xml: &str) -> Result<String, UnreadableNotifications> {
    let document = parse(xml)?;
    let mut left = xml.to_owned();
    // From the end, so that the places of the others stay.
    let mut ranges: Vec<_> = elements(&document).map(|element| element.range()).collect();
    ranges.reverse();
    for range in &ranges {
        left.replace_range(range.clone(), "");
    }
    let has_nothing = !document.root_element().children().any(|child| !is_eventbridge(&child));
    if ranges.is_empty() || !has_nothing {
        return Ok(left);
    }
    // S3 writes an empty configuration as an empty element.
    let root = document.root_element().range().start;
    let end = left[root..].find('>').map_or(left.len(), |end| root + end);
    let after = left[end..].rfind("</").map_or(left.len(), |close| end + close);
    let rest = left[after..].find('>').map_or("", |close| &left[after + close + 1..]);
    Ok(format!("{}/>{rest}", &left[..end]))
}

fn parse(xml: &str) -> Result<Document<'_>, UnreadableNotifications> {
    let document = Document::parse(xml).map_err(|error| UnreadableNotifications(error.to_string()))?;
    let name = document.root_element().tag_name().name();
    if name != "NotificationConfiguration" {
        return Err(UnreadableNotifications(format!("it is a {name}")));
    }
    Ok(document)
}

fn elements<'a, 'i: 'a>(document: &'a Document<'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    document.root_element().children().filter(is_eventbridge)
}

fn is_eventbridge(node: &Node<'_, '_>) -> bool {
    node.is_element() && node.tag_name().name() == ELEMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    const XMLNS: &str = r#"xmlns="http://s3.amazonaws.com/doc/2006-03-01/""#;
    /// A queue with a filter, a topic, a function, and something of next year.
    const OTHERS: &str = "<QueueConfiguration><Id>q &amp; é</Id><Queue>arn:aws:sqs:us-east-1:111122223333:q</Queue><Event>s3:ObjectCreated:*</Event><Filter><S3Key><FilterRule><Name>prefix</Name><Value>a/</Value></FilterRule></S3Key></Filter></QueueConfiguration><TopicConfiguration><Id>t</Id></TopicConfiguration><CloudFunctionConfiguration><Id>f</Id></CloudFunctionConfiguration><NextYearConfiguration a=\"1\"><Id/></NextYearConfiguration>";

    fn of(inner: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NotificationConfiguration {XMLNS}>{inner}</NotificationConfiguration>"
        )
    }

    #[test]
    fn what_is_turned_on_and_off_again_is_byte_for_byte_what_it_was() {
        let empty = format!("<NotificationConfiguration {XMLNS}/>");
        for before in [of(OTHERS), of("\n  <TopicConfiguration/>\n"), empty, "<NotificationConfiguration/>".to_owned()]
        {
            assert_eq!(sends_to_eventbridge(&before), Ok(false), "{before}");
            let on = with_eventbridge(&before).unwrap();
            assert_eq!(sends_to_eventbridge(&on), Ok(true), "{on}");
            assert_eq!(with_eventbridge(&on).as_deref(), Ok(on.as_str()), "twice is once");
            assert_eq!(without_eventbridge(&on).as_deref(), Ok(before.as_str()));
            assert_eq!(without_eventbridge(&before).as_deref(), Ok(before.as_str()), "off is off");
        }
    }

    #[test]
    fn the_element_is_found_in_each_form_and_all_else_stays() {
        for element in [
            "<EventBridgeConfiguration/>",
            "<EventBridgeConfiguration></EventBridgeConfiguration>",
            "<EventBridgeConfiguration xmlns:xsi=\"x\"></EventBridgeConfiguration>",
        ] {
            for on in [of(&format!("{element}{OTHERS}")), of(&format!("{OTHERS}{element}"))] {
                assert_eq!(sends_to_eventbridge(&on), Ok(true), "{on}");
                assert_eq!(with_eventbridge(&on), Ok(on.clone()));
                assert_eq!(without_eventbridge(&on), Ok(of(OTHERS)));
            }
            let alone = without_eventbridge(&of(element)).unwrap();
            assert!(alone.ends_with(&format!("<NotificationConfiguration {XMLNS}/>")), "{alone}");
        }
        // The name of a queue is no element.
        let named = of("<QueueConfiguration><Id>EventBridgeConfiguration</Id></QueueConfiguration>");
        assert_eq!(sends_to_eventbridge(&named), Ok(false));
    }

    #[test]
    fn a_namespace_with_a_prefix_is_kept() {
        let before = "<s3:NotificationConfiguration xmlns:s3=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>";
        let on = with_eventbridge(before).unwrap();
        assert_eq!(sends_to_eventbridge(&on), Ok(true), "{on}");
        assert_eq!(without_eventbridge(&on).as_deref(), Ok(before));
    }

    #[test]
    fn another_answer_is_changed_in_no_way() {
        for other in ["", "no XML", "<Error><Code>AccessDenied</Code></Error>", "<NotificationConfiguration>"] {
            assert!(sends_to_eventbridge(other).is_err(), "{other}");
            assert!(with_eventbridge(other).is_err(), "{other}");
            assert!(without_eventbridge(other).is_err(), "{other}");
        }
    }
}
