//! Serialization of types that are not `Serialize`.

use std::fmt::Debug;

/// Serializes a value as its `Debug` text.
pub(super) fn as_debug<S: serde::Serializer>(value: &impl Debug, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{value:?}"))
}
