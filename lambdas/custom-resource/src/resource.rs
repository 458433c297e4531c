//! What a custom resource is: the part that is not the protocol.

use std::collections::BTreeMap;

use crate::properties::Properties;

/// A custom resource. It must be idempotent: an event may come twice, and to two processes.
pub trait CustomResource {
    /// The physical id of the resource that has these properties. `current` is the one that it has now; `None` if it is
    /// being made.
    ///
    /// The same arguments must give the same id. An id that differs from `current` makes an update a replacement:
    /// [`Event::Replace`] comes instead of [`Event::Update`], and CloudFormation deletes the old one later. 1 to 1,024
    /// bytes.
    fn physical_id(&self, properties: &Properties, current: Option<&str>) -> String;

    /// Does what the event asks for.
    ///
    /// It is dropped where it waits when the function runs out of time, and called again if its reply is not settled.
    async fn handle(&self, event: &Event<'_>) -> Reply;
}

/// What a custom resource is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// Make the resource.
    Create {
        /// Its properties.
        properties: &'a Properties,
    },
    /// Change the resource. CloudFormation also takes back a failed update so, with the properties from before.
    Update {
        /// Its id, which it keeps.
        physical_id: &'a str,
        /// Its properties from now on.
        properties: &'a Properties,
        /// Its properties up to now.
        old_properties: &'a Properties,
    },
    /// Make another resource in its place, and leave the old one: CloudFormation deletes it when the whole stack is
    /// updated.
    Replace {
        /// The id of the old one.
        old_physical_id: &'a str,
        /// The properties of the new one.
        properties: &'a Properties,
        /// The properties of the old one.
        old_properties: &'a Properties,
    },
    /// Remove the resource. It may be removed already.
    Delete {
        /// Its id; `None` if its creation failed, so that there are parts of it, or nothing. After a creation that was
        /// never answered it is an id of CloudFormation's, which no resource has.
        physical_id: Option<&'a str>,
        /// Its properties.
        properties: &'a Properties,
    },
}

/// Names and values that a template reads with `Fn::GetAtt`.
pub type Data = BTreeMap<String, String>;

/// What came of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The attributes of the resource, or why it failed, in words for the person who reads the stack's events.
    pub result: Result<Data, String>,
    /// Whether the same would come of running the resource again some seconds later.
    pub is_settled: bool,
}

impl Reply {
    /// It succeeded.
    pub fn done<const N: usize>(data: [(&str, String); N]) -> Self {
        let data = data.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { result: Ok(data), is_settled: true }
    }

    /// It failed.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self { result: Err(reason.into()), is_settled: true }
    }

    /// The same, but seconds later it may be another: a new permission takes a while to reach all of AWS (IAM User Guide,
    /// "Changes that I make are not always immediately visible"). The resource is run again, for half a minute.
    #[must_use]
    pub fn unsettled(self) -> Self {
        Self { is_settled: false, ..self }
    }
}
