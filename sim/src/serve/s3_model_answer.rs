//! The model's answer on its way past s3s, in a request's extensions.

use crate::model::ApiError;
use std::sync::{Arc, Mutex, PoisonError};

/// What the model answers, where s3s cannot carry it.
#[derive(Debug, Clone, Default)]
pub(super) struct ModelAnswer(Arc<Mutex<Answer>>);

#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) api_error: Option<ApiError>,
    pub(super) status: Option<u16>,
}

impl ModelAnswer {
    pub(super) fn set_error(&self, api_error: ApiError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).api_error = Some(api_error);
    }

    pub(super) fn status(&self, status: u16) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).status = Some(status);
    }

    pub(super) fn take(&self) -> Answer {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
