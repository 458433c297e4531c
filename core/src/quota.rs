//! AWS's quotas of an account, as far as thaw can do without more of them.

/// With fewer functions at a time than this, thaw and its neighbours get into each other's way. A new account may run ten
/// (Lambda Developer Guide, "Lambda quotas"), and thaw's queues and chunks alone use as many.
pub const FEW_FUNCTIONS: u64 = 50;
