//! `thaw open`: a restore's execution in the AWS console, or the list of executions.

use std::io::{self, IsTerminal};

use serde_json::json;

use crate::address::{LocalStack, stack_output};
use crate::args::OpenArgs;
use crate::context::{Context, restore_path};
use crate::credentials;
use crate::error::Error;
use crate::exit::Exit;
use crate::output;

/// Prints the address of the page, and opens it where somebody sits at a terminal.
pub fn run(args: &OpenArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let path = args.id.as_deref().map(restore_path).transpose()?;
    if let Some(file) = &context.global.local {
        let stack = LocalStack::read(file)?;
        let api = format!("{}{}", stack.api_url.trim_end_matches('/'), path.as_deref().unwrap_or("/v1/restores"));
        context
            .terminal
            .say("A local stack has no AWS console. These are its own addresses; thaw console shows its restores.");
        let answer = json!({ "api": api, "edge": stack.edge_url });
        output::one(context.form, &answer, || Ok(format!("{api}\n{}\n", stack.edge_url)))?;
        return Ok(Exit::Done);
    }
    let identity = credentials::find(context.global)?;
    let state_machine = stack_output(STATE_MACHINE, context.global, &identity, context.terminal)?;
    let url = console_page(&state_machine, args.id.as_deref())?;
    output::one(context.form, &json!({ "url": url }), || Ok(format!("{url}\n")))?;
    if !args.print && io::stdout().is_terminal() {
        open::that_detached(&url).map_err(|error| {
            Error::Failed(format!("No browser could be started ({error}). Open the address yourself, or use --print."))
        })?;
    }
    Ok(Exit::Done)
}

/// The stack's output with the ARN of the state machine: `arn:aws:states:eu-central-1:111122223333:stateMachine:thaw`.
pub const STATE_MACHINE: &str = "StateMachineArn";

/// The page of an execution, or of the state machine with its executions.
///
/// Each partition has a console of its own (IAM User Guide, "AWS Management Console endpoints" of GovCloud and China).
pub fn console_page(state_machine: &str, id: Option<&str>) -> Result<String, Error> {
    let parts: Vec<&str> = state_machine.split(':').collect();
    let ["arn", partition, "states", region, account, "stateMachine", name] = parts[..] else {
        return Err(Error::Failed(format!(
            "The stack's output {STATE_MACHINE} is not the ARN of a state machine: {state_machine}"
        )));
    };
    let host = match partition {
        "aws-cn" => "console.amazonaws.cn".to_owned(),
        "aws-us-gov" => "console.amazonaws-us-gov.com".to_owned(),
        _ => format!("{region}.console.aws.amazon.com"),
    };
    let page = match id {
        Some(id) => format!("v2/executions/details/arn:{partition}:states:{region}:{account}:execution:{name}:{id}"),
        None => format!("statemachines/view/{state_machine}"),
    };
    Ok(format!("https://{host}/states/home?region={region}#/{page}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_its_console() {
        let arn =
            |partition: &str, region: &str| format!("arn:{partition}:states:{region}:111122223333:stateMachine:thaw");
        for (arn, id, page) in [
            (
                arn("aws", "eu-central-1"),
                Some("r1"),
                "https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/v2/executions/details/arn:aws:states:eu-central-1:111122223333:execution:thaw:r1",
            ),
            (
                arn("aws", "eu-central-1"),
                None,
                "https://eu-central-1.console.aws.amazon.com/states/home?region=eu-central-1#/statemachines/view/arn:aws:states:eu-central-1:111122223333:stateMachine:thaw",
            ),
            (
                arn("aws-cn", "cn-north-1"),
                Some("r1"),
                "https://console.amazonaws.cn/states/home?region=cn-north-1#/v2/executions/details/arn:aws-cn:states:cn-north-1:111122223333:execution:thaw:r1",
            ),
            (
                arn("aws-us-gov", "us-gov-west-1"),
                Some("r1"),
                "https://console.amazonaws-us-gov.com/states/home?region=us-gov-west-1#/v2/executions/details/arn:aws-us-gov:states:us-gov-west-1:111122223333:execution:thaw:r1",
            ),
        ] {
            assert_eq!(console_page(&arn, id).unwrap(), page);
        }
        assert!(console_page("arn:aws:sns:eu-central-1:111122223333:thaw", None).is_err());
    }
}
