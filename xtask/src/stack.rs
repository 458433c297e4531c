//! What a running local stack is: its address book on disk, for people, tests and the other commands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::aws::Aws;
use crate::http::{self, Response};
use crate::process::Process;
use crate::simulator::Control;
use crate::workspace::target_dir;

/// Where the first of the stack's ports is unless told otherwise.
pub const DEFAULT_PORT: u16 = 4600;

/// Which local stack is meant; several can run side by side.
#[derive(Args, Clone, Debug)]
pub struct StackLocation {
    /// First of the stack's four ports: AWS APIs, then S3, CloudFront API and edge of the simulator
    #[arg(long, default_value_t = DEFAULT_PORT)]
    pub port: u16,
    /// Where the stack keeps its files [default: target/local, or target/local-PORT for another port]
    #[arg(long)]
    pub dir: Option<PathBuf>,
}

impl StackLocation {
    /// The folder of this stack's files.
    pub fn dir(&self) -> PathBuf {
        match &self.dir {
            Some(dir) => std::path::absolute(dir).unwrap_or_else(|_| dir.clone()),
            None if self.port == DEFAULT_PORT => target_dir().join("local"),
            None => target_dir().join(format!("local-{}", self.port)),
        }
    }
}

/// Who plays S3 and CloudFront.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum S3 {
    /// thaw-sim: tiers and times, a cache that can be stale, quotas and faults
    Sim,
    /// MiniStack's own: a second witness that we did not write
    Ministack,
}

/// `stack.json`: everything that one needs to talk to the stack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stack {
    pub endpoint_url: String,
    pub s3_endpoint_url: String,
    pub cloudfront_endpoint_url: String,
    pub edge_url: String,
    /// The `Host` header that makes the edge answer for the distribution.
    pub edge_host: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    /// Without a slash at its end: `{api_url}/v1/restores`.
    pub api_url: String,
    pub state_machine_arn: String,
    pub archive_bucket: String,
    pub work_bucket: String,
    pub distribution_id: String,
    /// A second archive, whose distribution has an origin path: it serves `/a` from `public/a`.
    pub media_bucket: String,
    pub media_distribution_id: String,
    /// A third archive, which several distributions show; only where thaw-sim plays CloudFront.
    pub gallery: Option<Gallery>,
    pub ledger_table: String,
    pub topic_arn: String,
    pub restore_initiated_queue_url: String,
    pub restore_completed_queue_url: String,
    pub inbox_file_queue_url: String,
    /// The release that was deployed, and one to upgrade to where the stack is for that.
    pub releases: Vec<UploadedRelease>,
    /// How many seconds of the workflow's waiting pass in one real second.
    pub time_scale: u32,
    /// When virtual time equalled real time (Unix seconds); none where nobody's clock is scaled.
    pub origin: Option<i64>,
    pub s3: S3,
    /// Whether IAM policies and signatures are enforced.
    pub auth: bool,
    pub port: u16,
    pub processes: Vec<Process>,
}

/// A release in the code bucket, and how the stack gets it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UploadedRelease {
    pub id: String,
    pub template_url: String,
    /// All that its template declares and this stack sets.
    pub parameters: BTreeMap<String, String>,
}

/// An archive that several distributions show, each with a cache of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gallery {
    pub bucket: String,
    /// The plain one, which has a default root object.
    pub distribution_id: String,
    /// The staging distribution of the plain one: a policy sends viewers there, and the stack's parameter does not name it.
    pub staging_distribution_id: String,
    /// The one that caches by query string.
    pub query_distribution_id: String,
}

impl Stack {
    /// The stack that runs in this folder, as it described itself; none if there is none.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let file = dir.join("stack.json");
        let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).with_context(|| format!("cannot understand {}", file.display()))
    }

    /// Writes `stack.json` in one step: whoever sees the file sees all of it.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let draft = dir.join("stack.json.new");
        fs::write(&draft, serde_json::to_string_pretty(self)? + "\n")?;
        fs::rename(&draft, dir.join("stack.json")).context("cannot write stack.json")
    }

    /// Whether all its processes are there.
    pub fn is_up(&self) -> bool {
        self.processes.iter().all(Process::is_alive)
    }

    /// Where the emulator serves the HTTP API of a stack in it, by the stack's output `ApiUrl`. That one,
    /// `http://<id>.execute-api.<host>`, needs DNS to resolve; this one does not.
    pub fn api_url_of(&self, output: &str) -> Result<String> {
        Ok(format!("{}/_aws/execute-api/{}/$default", self.endpoint_url, api_id(output)?))
    }

    /// The AWS APIs of the emulator.
    pub fn aws(&self) -> Aws {
        self.at(&self.endpoint_url)
    }

    /// The S3 that the Lambdas see.
    pub fn s3(&self) -> Aws {
        self.at(&self.s3_endpoint_url)
    }

    /// One signed call of our own HTTP API; `path` begins with `/v1`.
    pub fn api(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response> {
        self.api_at(&self.api_url, method, path, headers, body)
    }

    /// The same of the API of another stack in the emulator.
    pub fn api_at(
        &self,
        api_url: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Response> {
        let base = api_url.strip_prefix(&self.endpoint_url).context("the HTTP API is not the emulator's")?;
        self.aws().send("execute-api", method, &format!("{base}{path}"), headers, body)
    }

    /// What a viewer gets from the edge for this path.
    pub fn edge(&self, path: &str) -> Result<Response> {
        http::send("GET", &format!("{}{path}", self.edge_url), &[("host".into(), self.edge_host.clone())], b"")
    }

    /// The simulator's control endpoint.
    pub fn control(&self) -> Control {
        Control { url: self.cloudfront_endpoint_url.clone() }
    }

    fn at(&self, endpoint: &str) -> Aws {
        Aws {
            endpoint: endpoint.to_owned(),
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
        }
    }
}

/// The id in the address of an API.
fn api_id(url: &str) -> Result<&str> {
    let host = url.split_once("://").map_or(url, |(_, host)| host);
    let id = host.split('.').next().filter(|id| !id.is_empty());
    id.with_context(|| format!("no API id in {url}"))
}

/// The list of a stack's processes, kept from the moment the first one starts.
pub struct ProcessList {
    file: PathBuf,
    pub processes: Vec<Process>,
}

impl ProcessList {
    /// The list in this folder; empty if there is none.
    pub fn read(dir: &Path) -> Result<Self> {
        let file = dir.join("processes.json");
        let processes = match fs::read(&file) {
            Ok(text) => {
                serde_json::from_slice(&text).with_context(|| format!("cannot understand {}", file.display()))?
            }
            Err(_) => Vec::new(),
        };
        Ok(Self { file, processes })
    }

    /// Adds a process, on disk at once.
    pub fn add(&mut self, process: Process) -> Result<()> {
        self.processes.push(process);
        fs::write(&self.file, serde_json::to_vec_pretty(&self.processes)?)
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_port_means_another_folder() {
        let dir = |port, dir: Option<&str>| StackLocation { port, dir: dir.map(PathBuf::from) }.dir();
        assert!(dir(DEFAULT_PORT, None).ends_with("local"));
        assert!(dir(4700, None).ends_with("local-4700"));
        assert_eq!(dir(4700, Some("/tmp/here")), Path::new("/tmp/here"));
    }
}
