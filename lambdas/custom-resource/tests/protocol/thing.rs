//! A custom resource that makes things with names, in a place that outlives its processes.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use thaw_custom_resource::{CustomResource, Event, Properties, Reply};

/// How the resource reacts to an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Behaviour {
    Works,
    Fails,
    Panics,
    PanicsInPhysicalId,
    Hangs,
    /// It is not settled for so many calls.
    Unsettled(u32),
    /// It has attributes that no answer can carry.
    LongData,
    /// It has an id that no answer may carry.
    EmptyId,
}

#[derive(Debug, Clone)]
pub struct Thing {
    pub behaviour: Behaviour,
    /// The things that are there, with their colours.
    pub made: Rc<RefCell<BTreeMap<String, String>>>,
    pub calls: Rc<Cell<u32>>,
}

impl Thing {
    pub fn new(behaviour: Behaviour) -> Self {
        Self { behaviour, made: Rc::default(), calls: Rc::default() }
    }

    #[track_caller]
    pub fn are(&self, things: &[(&str, &str)]) {
        let made = self.made.borrow();
        let made: Vec<_> = made.iter().map(|(name, colour)| (name.as_str(), colour.as_str())).collect();
        assert_eq!(made, things);
    }

    fn make(&self, properties: &Properties) -> Reply {
        let name = format!("thing-{}", properties.text("Name").unwrap_or_default());
        match properties.text("Colour") {
            Ok(colour) => {
                self.made.borrow_mut().insert(name.clone(), colour);
                Reply::done([("Made", name)])
            }
            Err(wrong) => Reply::failed(wrong.to_string()),
        }
    }
}

impl CustomResource for Thing {
    fn physical_id(&self, properties: &Properties, _: Option<&str>) -> String {
        match self.behaviour {
            Behaviour::PanicsInPhysicalId => panic!("no name"),
            Behaviour::EmptyId => String::new(),
            Behaviour::Works
            | Behaviour::Fails
            | Behaviour::Panics
            | Behaviour::Hangs
            | Behaviour::Unsettled(_)
            | Behaviour::LongData => {
                format!("thing-{}", properties.text("Name").unwrap_or_default())
            }
        }
    }

    async fn handle(&self, event: &Event<'_>) -> Reply {
        self.calls.set(self.calls.get() + 1);
        match self.behaviour {
            Behaviour::Fails => return Reply::failed("It cannot be done."),
            Behaviour::Panics => panic!("a bug"),
            Behaviour::Hangs => std::future::pending().await,
            Behaviour::LongData => return Reply::done([("Words", "x".repeat(10_000))]),
            Behaviour::Unsettled(calls) if self.calls.get() <= calls => return Reply::failed("Not yet.").unsettled(),
            Behaviour::Works | Behaviour::Unsettled(_) | Behaviour::PanicsInPhysicalId | Behaviour::EmptyId => {}
        }
        match event {
            Event::Create { properties } | Event::Update { properties, .. } | Event::Replace { properties, .. } => {
                self.make(properties)
            }
            Event::Delete { physical_id, .. } => {
                physical_id.map(|id| self.made.borrow_mut().remove(id));
                Reply::done([])
            }
        }
    }
}
