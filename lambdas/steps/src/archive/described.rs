//! An object that is named by its key, or by its key and version, as S3 describes it.

use thaw_core::{Facts, NULL_VERSION, ObjectId};

use crate::StepError;
use crate::ports::ReadArchive;

/// An object as S3 describes it.
#[derive(Debug)]
pub struct Described {
    /// The object, with its version.
    pub object: ObjectId,
    /// Whether it is the version that viewers get. One that S3 does not describe counts as such.
    pub current: bool,
    /// What S3 says of it.
    pub facts: Facts,
}

/// Asks S3 about an object, and whether its version is the current one if it names one.
pub async fn described(object: ObjectId, archive: &impl ReadArchive) -> Result<Described, StepError> {
    let facts = archive.head(&object).await?;
    let Facts::Found(head) = &facts else { return Ok(Described { object, current: true, facts }) };
    let Some(named) = object.version.as_deref() else {
        let object = ObjectId { version: head.version.clone(), ..object };
        return Ok(Described { object, current: true, facts });
    };
    // A version that the request names may not be the one that viewers get.
    let newest = match archive.head(&ObjectId { version: None, ..object.clone() }).await? {
        Facts::Found(newest) => Some(newest.version),
        Facts::Missing(_) => None,
    };
    let current = newest.as_ref().is_some_and(|newest| object.is_version(newest.as_deref()));
    // In a bucket without versioning S3 describes the null version, the only one, and names no version.
    let is_unversioned = named == NULL_VERSION && newest == Some(None);
    let version = object.version.clone().filter(|_| !is_unversioned);
    Ok(Described { object: ObjectId { version, ..object }, current, facts })
}
