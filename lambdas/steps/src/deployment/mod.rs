//! The custom resources of the stack, which CloudFormation calls while it deploys it. The protocol is in
//! [`thaw_custom_resource`].

pub mod attachment;
pub mod preflight;

mod findings;
mod release;
