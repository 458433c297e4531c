//! Multipart uploads: the CLI uses them for anything above 8 MB.

use crate::model::{ApiError, PutRequest};
use bytes::{Bytes, BytesMut};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// The uploads that have begun, by id.
#[derive(Debug, Default)]
pub(super) struct Uploads(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    begun: u64,
    running: HashMap<String, Upload>,
}

#[derive(Debug)]
struct Upload {
    put: PutRequest,
    parts: BTreeMap<i32, Bytes>,
}

impl Uploads {
    /// Begins one; answers its id.
    pub(super) fn begin(&self, put: PutRequest) -> String {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.begun += 1;
        let id = format!("upload-{}", state.begun);
        state.running.insert(id.clone(), Upload { put, parts: BTreeMap::new() });
        id
    }

    /// Adds a part, or replaces it; answers its entity tag.
    pub(super) fn add(&self, id: &str, number: i32, part: Bytes) -> Result<String, ApiError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let upload = state.running.get_mut(id).ok_or_else(no_such_upload)?;
        upload.parts.insert(number, part);
        Ok(format!("{id}-{number}"))
    }

    /// Ends one; what it was to put is put together from all its parts.
    pub(super) fn end(&self, id: &str) -> Result<PutRequest, ApiError> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Upload { mut put, parts } = state.running.remove(id).ok_or_else(no_such_upload)?;
        let mut body = BytesMut::new();
        parts.into_values().for_each(|part| body.extend_from_slice(&part));
        put.content.body = body.freeze();
        Ok(put)
    }
}

fn no_such_upload() -> ApiError {
    ApiError::new("NoSuchUpload", 404, "The specified multipart upload does not exist.")
}
