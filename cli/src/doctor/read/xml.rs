//! Reading AWS's answers in XML.

use roxmltree::{Document, Node};

/// A page of a list, and where the next begins.
pub type Page<T> = (Vec<T>, Option<String>);

/// The document, or what is wrong with it.
pub fn parse(text: &str) -> Result<Document<'_>, String> {
    Document::parse(text).map_err(|error| format!("the answer is not XML: {error}"))
}

/// The child with this name.
pub fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|child| child.tag_name().name() == name)
}

/// The children with this name.
pub fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> + use<'a, 'i> {
    node.children().filter(move |child| child.tag_name().name() == name)
}

/// The text of the node at the end of a path of children; empty if there is none.
pub fn text(node: Node<'_, '_>, path: &[&str]) -> String {
    let found = path.iter().try_fold(node, |node, name| child(node, name));
    found.and_then(|node| node.text()).unwrap_or_default().trim().to_owned()
}

/// The members of a list of CloudFront's: `<Quantity>`, and `<Items>` if there are any.
pub fn items<'a, 'i>(node: Node<'a, 'i>, list: &str) -> Vec<Node<'a, 'i>> {
    let items = child(node, list).and_then(|list| child(list, "Items"));
    items.into_iter().flat_map(|items| items.children()).filter(Node::is_element).collect()
}
