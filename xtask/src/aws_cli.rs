//! The `aws` command line, for the commands that talk to an account: this crate has no AWS SDK.
//!
//! On the local stack the command line of the locked Python environment plays it, and every endpoint is the stack's.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::python::python_env;
use crate::stack::{S3, Stack, StackLocation};
use crate::workspace::{on_path, root};

/// A command line, with all that it finds in its environment.
pub struct AwsCli {
    pub region: String,
    pub env: Vec<(&'static str, OsString)>,
    /// Where CloudFormation finds the code bucket. On the local stack that is the emulator's S3, and the archive buckets are
    /// the simulator's.
    code_s3: Option<String>,
}

/// A command that failed, with what it printed.
#[derive(Debug)]
pub struct Refused {
    command: String,
    words: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.command, self.words)
    }
}

impl std::error::Error for Refused {}

impl Refused {
    /// The error's code, `ValidationError` in `An error occurred (ValidationError) when calling …`; empty if there is none.
    pub fn code(&self) -> &str {
        let code = self.words.split_once("An error occurred (").and_then(|(_, rest)| rest.split_once(')'));
        code.map_or("", |(code, _)| code)
    }

    /// What AWS says, without the words of the command line around it.
    pub fn words(&self) -> &str {
        self.words.split_once(" operation: ").map_or(&self.words, |(_, words)| words)
    }
}

impl AwsCli {
    /// The command line on PATH, with the user's own credentials. Without a Region it takes `AWS_REGION`, and then the
    /// profile's. Fails if there is no `aws` on PATH, or no Region.
    pub fn on_aws(profile: Option<&str>, region: Option<&str>) -> Result<Self> {
        ensure!(
            on_path("aws").is_some(),
            "the `aws` command line is not on PATH; install it, or see its own documentation"
        );
        let mut cli = Self { region: String::new(), env: vec![("AWS_PAGER", OsString::new())], code_s3: None };
        if let Some(profile) = profile {
            cli.set("AWS_PROFILE", profile);
        }
        cli.region = match region.map(str::to_owned).or_else(|| std::env::var("AWS_REGION").ok()) {
            Some(region) => region,
            None => cli.text(&["configure", "get", "region"]).context("no Region is set; name one with --region")?,
        };
        cli.set("AWS_REGION", cli.region.clone());
        cli.set("AWS_DEFAULT_REGION", cli.region.clone());
        Ok(cli)
    }

    /// The command line of the Python environment, which reaches a running local stack and nothing else. Fails if there is no
    /// such stack.
    pub fn on_local_stack(which: &StackLocation) -> Result<(Self, Stack)> {
        let stack = Stack::read(&which.dir())?.filter(Stack::is_up);
        let stack = stack.context("there is no local stack; boot one with `cargo xtask up`")?;
        ensure!(stack.s3 == S3::Sim, "only a stack with --s3 sim can be asked; this one has --s3 ministack");
        let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;
        let programs = python.program("aws");
        let programs = programs.parent().context("programs are in a folder")?;
        let mut path = vec![programs.to_path_buf()];
        path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
        let mut cli = Self {
            region: stack.region.clone(),
            env: vec![("AWS_PAGER", OsString::new()), ("PATH", std::env::join_paths(path)?)],
            code_s3: Some(stack.endpoint_url.clone()),
        };
        for (name, value) in [
            ("AWS_DEFAULT_REGION", &stack.region),
            ("AWS_REGION", &stack.region),
            ("AWS_ACCESS_KEY_ID", &stack.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", &stack.secret_access_key),
            ("AWS_ENDPOINT_URL", &stack.endpoint_url),
            ("AWS_ENDPOINT_URL_S3", &stack.s3_endpoint_url),
            ("AWS_ENDPOINT_URL_S3_CONTROL", &stack.s3_endpoint_url),
            ("AWS_ENDPOINT_URL_CLOUDFRONT", &stack.cloudfront_endpoint_url),
        ] {
            cli.set(name, value);
        }
        cli.set("AWS_CONFIG_FILE", "/dev/null");
        cli.set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        cli.set("AWS_EC2_METADATA_DISABLED", "true");
        cli.set("AWS_DISABLE_HOST_PREFIX_INJECTION", "true");
        Ok((cli, stack))
    }

    /// For tests: commands find nothing in their environment but what the test adds.
    #[cfg(test)]
    pub fn without_credentials(region: &str) -> Self {
        Self { region: region.to_owned(), env: Vec::new(), code_s3: None }
    }

    /// Adds a variable to the command's environment.
    pub fn set(&mut self, name: &'static str, value: impl Into<OsString>) {
        self.env.push((name, value.into()));
    }

    /// What a command prints. A failure is a [`Refused`].
    pub fn text(&self, arguments: &[&str]) -> Result<String> {
        self.text_of(arguments, b"")
    }

    /// What a command prints that reads this.
    fn text_of(&self, arguments: &[&str], input: &[u8]) -> Result<String> {
        let mut command = Command::new("aws");
        command.args(arguments).envs(self.env.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start `aws`")?;
        // It is short enough for a pipe, so nobody waits. A command that does not read it may have ended already.
        child.stdin.take().map(|mut stdin| stdin.write_all(input));
        let output = child.wait_with_output().context("cannot read what `aws` prints")?;
        if !output.status.success() {
            let command = format!("aws {}", arguments.iter().take(2).copied().collect::<Vec<_>>().join(" "));
            return Err(Refused { command, words: last_line(&output.stderr) }.into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The JSON that a command prints; null if it prints nothing.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.text(&[arguments, &["--output", "json"]].concat())?;
        if printed.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&printed).with_context(|| format!("`aws {}` prints no JSON", arguments.join(" ")))
    }

    /// The same of the S3 in which CloudFormation finds the code.
    pub fn json_of_code(&self, arguments: &[&str]) -> Result<Value> {
        match &self.code_s3 {
            None => self.json(arguments),
            Some(endpoint) => self.json(&[arguments, &["--endpoint-url", endpoint]].concat()),
        }
    }

    /// The address under which CloudFormation reads an object of the code bucket. The bucket is in the path: its name may have
    /// dots, which the certificate of `<bucket>.s3.<region>.amazonaws.com` does not cover.
    pub fn code_url(&self, bucket: &str, key: &str) -> String {
        let region = &self.region;
        match &self.code_s3 {
            None => format!("https://s3.{region}.amazonaws.com/{bucket}/{key}"),
            Some(endpoint) => format!("{endpoint}/{bucket}/{key}"),
        }
    }

    /// Calls a function, and answers what it returns. Fails if it fails.
    pub fn invoke(&self, function: &str, event: &Value) -> Result<Value> {
        // Versions 1 and 2 of the command line read a payload alike only from a file, and they print what the function returns into
        // a file, before they print how the call ended.
        let event = event.to_string();
        let arguments =
            ["lambda", "invoke", "--function-name", function, "--payload", "fileb:///dev/stdin", "/dev/stdout"];
        let printed = self.text_of(&[&arguments, &["--output", "json"][..]].concat(), event.as_bytes())?;
        let mut values = serde_json::Deserializer::from_str(&printed).into_iter::<Value>();
        let (Some(Ok(returned)), Some(Ok(ended))) = (values.next(), values.next()) else {
            bail!("`aws lambda invoke` prints no JSON");
        };
        ensure!(ended.get("FunctionError").is_none(), "{function} failed: {}", returned["errorMessage"]);
        Ok(returned)
    }

    /// Runs commands in bash, in a folder, as a person does who reads them in a document. S3 is that in which CloudFormation finds
    /// the code. Shows what they print.
    pub fn bash(&self, commands: &str, folder: &Path, variables: &[(&str, &str)]) -> Result<()> {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", commands]).current_dir(folder).envs(self.env.iter().cloned());
        bash.envs(variables.iter().copied());
        if let Some(endpoint) = &self.code_s3 {
            bash.env("AWS_ENDPOINT_URL_S3", endpoint);
        }
        let status = bash.status().context("cannot start bash")?;
        ensure!(status.success(), "these commands ended with {status}:\n{commands}");
        Ok(())
    }

    /// The account that the credentials belong to.
    pub fn account(&self) -> Result<String> {
        self.text(&["sts", "get-caller-identity", "--query", "Account", "--output", "text"])
    }
}

/// The last line that is not empty: the command line prints its error there.
pub fn last_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it printed no error").trim().to_owned()
}

/// Why a command was refused, if it was.
pub fn refusal(error: &anyhow::Error) -> Option<&Refused> {
    error.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_the_code_and_the_words_of_aws() {
        let refused = |words: &str| Refused { command: String::from("aws s3api"), words: words.to_owned() };
        let known = refused("An error occurred (404) when calling the HeadBucket operation: Not Found");
        assert_eq!((known.code(), known.words()), ("404", "Not Found"));
        let unknown = refused("Unable to locate credentials");
        assert_eq!((unknown.code(), unknown.words()), ("", "Unable to locate credentials"));
    }

    #[test]
    fn the_last_line_that_is_not_empty_counts() {
        assert_eq!(last_line(b"usage\nwhy\n\n"), "why");
        assert_eq!(last_line(b"\n"), "it printed no error");
    }
}
