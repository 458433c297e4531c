//! The model's answer on its way past s3s, in a request's extensions.

use crate::model::Refusal;
use std::sync::{Arc, Mutex, PoisonError};

/// What the model answers, where s3s cannot carry it.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelAnswer(Arc<Mutex<Parts>>);

#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) refusal: Option<Refusal>,
    pub(super) status: Option<u16>,
}

impl ModelAnswer {
    pub(super) fn refuse(&self, refusal: Refusal) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).refusal = Some(refusal);
    }

    pub(super) fn status(&self, status: u16) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).status = Some(status);
    }

    pub(super) fn take(&self) -> Parts {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
