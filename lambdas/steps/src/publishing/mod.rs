//! From readable to visible: which paths CloudFront is asked to invalidate, and which must not be touched.

pub mod batches;
pub mod distributions;
pub mod folding;
pub mod neighbours;
pub mod path_safety;
pub mod publish;

/// Objects that one call publishes: at 90 of CloudFront's 150 paths a second it takes four minutes. Fewer would cost
/// more, because a folder that two calls share costs additional paths.
pub const OBJECTS_PER_CALL: usize = 20_000;
