//! CloudFront for the tests of single steps.

use std::cell::RefCell;

use thaw_core::Distribution;

use crate::ports::{
    CreateInvalidations, Distributions, Invalidation, InvalidationStatus, PortError, ReadDistributions,
    ReadInvalidations,
};

/// A distribution that shows every key, and refuses paths with `bad` in them.
#[derive(Default)]
pub(crate) struct Edge {
    pub(crate) shows: Vec<Distribution>,
    pub(crate) asked: RefCell<Vec<Vec<String>>>,
}

impl ReadDistributions for Edge {
    async fn distributions(&self, _: &str, _: &[String]) -> Result<Distributions, PortError> {
        Ok(Distributions { shown: self.shows.clone(), ..Distributions::default() })
    }
}

impl CreateInvalidations for Edge {
    async fn invalidate(&self, _: &str, items: &[String], _: &str) -> Result<Invalidation, PortError> {
        self.asked.borrow_mut().push(items.to_vec());
        assert!(self.asked.borrow().len() < 10, "CloudFront is asked for ever: {items:?}");
        if items.iter().any(|item| item.contains("bad")) {
            return Ok(Invalidation::Refused { says: "bad path".to_owned() });
        }
        Ok(Invalidation::Accepted { id: items.join(" "), completed: false })
    }
}

impl ReadInvalidations for Edge {
    async fn invalidation(&self, _: &str, _: &str) -> Result<InvalidationStatus, PortError> {
        Ok(InvalidationStatus::InProgress)
    }
}
