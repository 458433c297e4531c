//! What every command works with.

use jiff::tz::TimeZone;

use crate::api::Api;
use crate::args::{Form, Global};
use crate::error::Error;
use crate::terminal::Terminal;

/// What a command works with.
pub struct Context<'a> {
    pub global: &'a Global,
    pub terminal: &'a Terminal,
    pub form: Form,
    pub zone: TimeZone,
}

impl<'a> Context<'a> {
    /// Finds the API and the credentials. Commands that need neither never call this.
    pub fn connect(&self) -> Result<Api<'a>, Error> {
        Api::connect(self.global, self.terminal)
    }
}

/// The path of a restore in the API. An id has only characters that a URL takes as they are; anything else is no id.
pub fn restore_path(id: &str) -> Result<String, Error> {
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if is_id {
        Ok(format!("/v1/restores/{id}"))
    } else {
        Err(Error::Usage(format!("{id:?} is not the id of a restore. thaw ls lists them.")))
    }
}
