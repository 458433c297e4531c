//! CloudFront's answers.

use jiff::Timestamp;
use roxmltree::Node;

use super::xml::{Page, child, items, parse, text};
use crate::doctor::facts::Listed;

/// What `GetDistribution` says, before its origin access controls are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    pub arn: String,
    pub domain: String,
    pub aliases: Vec<String>,
    pub origins: Vec<Origin>,
}

/// An origin, and as whom CloudFront asks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub id: String,
    /// The id of its origin access control; empty for none.
    pub control: String,
    /// The id of its origin access identity; empty for none.
    pub identity: String,
}

/// `GetDistribution`.
pub fn distribution(xml: &str) -> Result<Distribution, String> {
    let document = parse(xml)?;
    let root = document.root_element();
    let config = child(root, "DistributionConfig").ok_or("the answer has no DistributionConfig")?;
    let origin = |node: Node<'_, '_>| {
        let identity = text(node, &["S3OriginConfig", "OriginAccessIdentity"]);
        Origin {
            id: text(node, &["Id"]),
            control: text(node, &["OriginAccessControlId"]),
            // `origin-access-identity/cloudfront/E…`
            identity: identity.rsplit('/').next().unwrap_or_default().to_owned(),
        }
    };
    Ok(Distribution {
        arn: text(root, &["ARN"]),
        domain: text(root, &["DomainName"]),
        aliases: items(config, "Aliases").into_iter().map(|alias| text(alias, &[])).collect(),
        origins: items(config, "Origins").into_iter().map(origin).collect(),
    })
}

/// `GetOriginAccessControl`: whether CloudFront never signs its requests.
pub fn never_signs(xml: &str) -> Result<bool, String> {
    let document = parse(xml)?;
    let behaviour = document.descendants().find(|node| node.tag_name().name() == "SigningBehavior");
    behaviour.map(|node| text(node, &[]) == "never").ok_or_else(|| "the answer has no SigningBehavior".to_owned())
}

/// A page of `ListDistributions`, and where the next begins.
pub fn distributions(xml: &str) -> Result<Page<Listed>, String> {
    let document = parse(xml)?;
    let root = document.root_element();
    let listed = |node: Node<'_, '_>| Listed {
        id: text(node, &["Id"]),
        domain: text(node, &["DomainName"]),
        enabled: text(node, &["Enabled"]) == "true",
        staging: text(node, &["Staging"]) == "true",
        origins: items(node, "Origins")
            .into_iter()
            .map(|origin| (text(origin, &["DomainName"]), text(origin, &["OriginPath"])))
            .collect(),
    };
    let list = child(root, "Items").into_iter().flat_map(|items| items.children()).filter(Node::is_element);
    Ok((list.map(listed).collect(), next(root)))
}

/// A page of `ListInvalidations`: ids and when they were made, newest first; and where the next page begins.
pub fn invalidations(xml: &str) -> Result<Page<(String, Timestamp)>, String> {
    let document = parse(xml)?;
    let root = document.root_element();
    let list = child(root, "Items").into_iter().flat_map(|items| items.children()).filter(Node::is_element);
    let read = list.map(|node| {
        let at = text(node, &["CreateTime"]);
        let at = at.parse().map_err(|_| format!("an invalidation was made at {at:?}"))?;
        Ok((text(node, &["Id"]), at))
    });
    Ok((read.collect::<Result<_, String>>()?, next(root)))
}

/// `GetInvalidation`: how many paths it has.
pub fn paths(xml: &str) -> Result<u64, String> {
    let document = parse(xml)?;
    let quantity = text(document.root_element(), &["InvalidationBatch", "Paths", "Quantity"]);
    quantity.parse().map_err(|_| format!("an invalidation has {quantity:?} paths"))
}

fn next(root: Node<'_, '_>) -> Option<String> {
    let is_truncated = text(root, &["IsTruncated"]) == "true";
    Some(text(root, &["NextMarker"])).filter(|marker| is_truncated && !marker.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_says_as_whom_its_origins_are_asked() {
        let xml = r#"<Distribution xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"><Id>E1</Id><ARN>arn:E1</ARN><DomainName>d1.cloudfront.net</DomainName><DistributionConfig>
            <Aliases><Quantity>1</Quantity><Items><CNAME>www.example.com</CNAME></Items></Aliases>
            <Origins><Quantity>2</Quantity><Items>
            <Origin><Id>a</Id><OriginAccessControlId>EC</OriginAccessControlId><S3OriginConfig><OriginAccessIdentity></OriginAccessIdentity></S3OriginConfig></Origin>
            <Origin><Id>b</Id><OriginAccessControlId/><S3OriginConfig><OriginAccessIdentity>origin-access-identity/cloudfront/EI</OriginAccessIdentity></S3OriginConfig></Origin>
            </Items></Origins></DistributionConfig></Distribution>"#;
        let origin = |id: &str, control: &str, identity: &str| Origin {
            id: id.to_owned(),
            control: control.to_owned(),
            identity: identity.to_owned(),
        };
        let expected = Distribution {
            arn: "arn:E1".to_owned(),
            domain: "d1.cloudfront.net".to_owned(),
            aliases: vec!["www.example.com".to_owned()],
            origins: vec![origin("a", "EC", ""), origin("b", "", "EI")],
        };
        assert_eq!(distribution(xml), Ok(expected));
        assert!(distribution("<Distribution/>").is_err());
    }

    #[test]
    fn an_access_control_signs_unless_it_says_never() {
        let read = |behaviour: &str| {
            never_signs(&format!(
                "<OriginAccessControl><OriginAccessControlConfig><SigningBehavior>{behaviour}</SigningBehavior></OriginAccessControlConfig></OriginAccessControl>"
            ))
        };
        assert_eq!((read("always"), read("no-override"), read("never")), (Ok(false), Ok(false), Ok(true)));
        assert!(never_signs("<OriginAccessControl/>").is_err());
    }

    #[test]
    fn lists_are_read_with_the_beginning_of_the_next_page() {
        let xml = r"<DistributionList><Marker/><NextMarker>E1</NextMarker><IsTruncated>true</IsTruncated><Quantity>1</Quantity><Items><DistributionSummary>
            <Id>E1</Id><DomainName>d1.cloudfront.net</DomainName><Enabled>true</Enabled><Staging>false</Staging>
            <Origins><Quantity>1</Quantity><Items><Origin><DomainName>b.s3.amazonaws.com</DomainName><OriginPath>/p</OriginPath></Origin></Items></Origins>
            </DistributionSummary></Items></DistributionList>";
        let listed = Listed {
            id: "E1".to_owned(),
            domain: "d1.cloudfront.net".to_owned(),
            enabled: true,
            staging: false,
            origins: vec![("b.s3.amazonaws.com".to_owned(), "/p".to_owned())],
        };
        assert_eq!(distributions(xml), Ok((vec![listed], Some("E1".to_owned()))));
        let none = "<InvalidationList><Marker/><NextMarker>x</NextMarker><IsTruncated>false</IsTruncated><Quantity>0</Quantity></InvalidationList>";
        assert_eq!(invalidations(none), Ok((Vec::new(), None)));
        let one = "<InvalidationList><IsTruncated>false</IsTruncated><Items><InvalidationSummary><Id>I1</Id><CreateTime>2026-11-30T10:00:00.000Z</CreateTime><Status>Completed</Status></InvalidationSummary></Items></InvalidationList>";
        let made = "2026-11-30T10:00:00Z".parse().unwrap();
        assert_eq!(invalidations(one), Ok((vec![("I1".to_owned(), made)], None)));
        let paths_of =
            "<Invalidation><InvalidationBatch><Paths><Quantity>3</Quantity></Paths></InvalidationBatch></Invalidation>";
        assert_eq!(paths(paths_of), Ok(3));
    }
}
