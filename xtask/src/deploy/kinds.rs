//! What the resources of the stack are called, and what they belong together for.

/// What resources are for, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    Storage,
    Workflow,
    Functions,
    Checks,
    Api,
    Events,
    Notices,
    Logs,
    Permissions,
    Others,
}

impl Group {
    pub fn name(self) -> &'static str {
        match self {
            Self::Storage => "storage",
            Self::Workflow => "workflow",
            Self::Functions => "functions",
            Self::Checks => "checks",
            Self::Api => "HTTP API",
            Self::Events => "events",
            Self::Notices => "notices",
            Self::Logs => "logs",
            Self::Permissions => "permissions",
            Self::Others => "others",
        }
    }

    /// Whether a reader wants to know each by its name, and not only how many there are.
    pub fn names_matter(self) -> bool {
        match self {
            Self::Storage | Self::Workflow | Self::Functions | Self::Checks | Self::Others => true,
            Self::Api | Self::Events | Self::Notices | Self::Logs | Self::Permissions => false,
        }
    }
}

/// A type of resource, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind<'a> {
    pub group: Group,
    /// What one of them is called.
    pub noun: &'a str,
}

/// A type that the template does not have yet keeps the name that CloudFormation gives it.
pub fn kind(resource_type: &str) -> Kind<'_> {
    let (group, noun) = match resource_type {
        "AWS::DynamoDB::Table" => (Group::Storage, "table"),
        "AWS::S3::Bucket" => (Group::Storage, "bucket"),
        "AWS::StepFunctions::StateMachine" => (Group::Workflow, "state machine"),
        "AWS::Lambda::Function" => (Group::Functions, "function"),
        "AWS::Lambda::Version" => (Group::Functions, "function version"),
        "AWS::ApiGatewayV2::Api" => (Group::Api, "HTTP API"),
        "AWS::ApiGatewayV2::Stage" => (Group::Api, "stage"),
        "AWS::ApiGatewayV2::Route" => (Group::Api, "route"),
        "AWS::ApiGatewayV2::Integration" => (Group::Api, "integration"),
        "AWS::SQS::Queue" => (Group::Events, "queue"),
        "AWS::Events::Rule" => (Group::Events, "rule"),
        "AWS::Lambda::EventInvokeConfig" => (Group::Events, "place for failed calls"),
        "AWS::Lambda::EventSourceMapping" => (Group::Events, "event source mapping"),
        "AWS::SNS::Topic" => (Group::Notices, "topic"),
        "AWS::SNS::Subscription" => (Group::Notices, "subscription"),
        "AWS::CloudWatch::Dashboard" => (Group::Notices, "dashboard"),
        "AWS::CloudWatch::Alarm" => (Group::Notices, "alarm"),
        "AWS::Logs::LogGroup" => (Group::Logs, "log group"),
        "AWS::IAM::Role" => (Group::Permissions, "role"),
        "AWS::IAM::ManagedPolicy" => (Group::Permissions, "policy"),
        "AWS::S3::BucketPolicy" => (Group::Permissions, "bucket policy"),
        "AWS::Lambda::Permission" => (Group::Permissions, "function policy"),
        "AWS::SQS::QueuePolicy" => (Group::Permissions, "queue policy"),
        "AWS::SNS::TopicPolicy" => (Group::Permissions, "topic policy"),
        custom if custom.starts_with("Custom::") => (Group::Checks, "check"),
        other => (Group::Others, other),
    };
    Kind { group, noun }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    #[test]
    fn every_resource_of_the_template_has_a_name_for_people() {
        for (id, resource_type) in Template::load().kinds() {
            assert_ne!(kind(&resource_type).group, Group::Others, "{id} is a {resource_type}");
        }
        assert_eq!(kind("Custom::Preflight").group, Group::Checks);
        assert_eq!(kind("AWS::New::Gadget"), Kind { group: Group::Others, noun: "AWS::New::Gadget" });
    }
}
