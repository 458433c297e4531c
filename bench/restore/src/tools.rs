//! How each client is started.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::certificates::Roots;
use crate::client::IN_FLIGHT;
use crate::process::Program;
use crate::report::Mode;
use crate::server::key;

/// Where the programs are.
pub struct Tools<'a> {
    pub python: &'a str,
    pub aws: &'a str,
    /// The folder of s3cmd and rclone.
    pub others: &'a str,
    pub node: &'a str,
    pub script: &'a str,
    /// For files of the bench's own.
    pub dir: &'a str,
    pub roots: Roots,
}

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    Thaw,
    ThawWithLedger,
    Sdk,
    Hyper,
    Boto3,
    Node,
    S3cmd,
    Rclone,
    AwsCli,
}

impl Client {
    pub const ALL: [Self; 9] = [
        Self::Thaw,
        Self::ThawWithLedger,
        Self::Sdk,
        Self::Hyper,
        Self::Boto3,
        Self::Node,
        Self::S3cmd,
        Self::Rclone,
        Self::AwsCli,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Thaw => "thaw's StartRestores, asking S3",
            Self::ThawWithLedger => "thaw's StartRestores, with a ledger write per object",
            Self::Sdk => "Rust, aws-sdk-s3 in a loop",
            Self::Hyper => "Rust, hyper and a signature by hand",
            Self::Boto3 => "Python, boto3, 64 threads",
            Self::Node => "Node, SDK v3",
            Self::S3cmd => "s3cmd restore --recursive",
            Self::Rclone => "rclone backend restore",
            Self::AwsCli => "aws s3api in a loop",
        }
    }

    /// Its turns in a round. What is held to a close ratio has more of them: one turn is off by a fifth now and then.
    pub fn turns(self, mode: Mode) -> usize {
        match self {
            Self::Thaw | Self::Sdk => mode.pick(MOST_TURNS, 1),
            Self::ThawWithLedger
            | Self::Hyper
            | Self::Boto3
            | Self::Node
            | Self::S3cmd
            | Self::Rclone
            | Self::AwsCli => 1,
        }
    }

    /// Keys that it is given: some seconds' work, or the least that shows that it works.
    pub fn keys(self, mode: Mode) -> u32 {
        match self {
            Self::AwsCli if mode == Mode::Smoke => 1,
            _ if mode == Mode::Smoke => 20,
            Self::Thaw | Self::Sdk => 10_000,
            Self::ThawWithLedger => 5_000,
            Self::Hyper => 20_000,
            Self::Boto3 | Self::Node => 2_000,
            Self::S3cmd | Self::Rclone => 200,
            Self::AwsCli => 4,
        }
    }
}

/// Turns in a round of those that have most.
pub const MOST_TURNS: usize = 5;

impl Tools<'_> {
    /// The programs that together ask for all keys; each is started when the one before it has ended.
    pub fn programs(&self, client: Client, mode: Mode, endpoint: &str) -> Result<Vec<Program>> {
        let keys = client.keys(mode);
        let bucket = format!("keys-{keys}");
        let numbers = [bucket.clone(), keys.to_string(), IN_FLIGHT.to_string()];
        let one = |path: &str, args: Vec<String>| vec![self.program(path, args, endpoint)];
        let ours = |name| self.ours(name, 0, keys, endpoint).map(|program| vec![program]);
        Ok(match client {
            Client::Thaw => ours("thaw")?,
            Client::ThawWithLedger => ours("thaw-with-ledger")?,
            Client::Sdk => ours("sdk")?,
            Client::Hyper => ours("hyper")?,
            Client::Boto3 => {
                let script = Path::new(self.script).with_file_name("restore.py");
                one(self.python, [vec![script.display().to_string()], numbers.to_vec()].concat())
            }
            Client::Node => one(self.node, [vec![self.script.to_owned()], numbers.to_vec()].concat()),
            Client::S3cmd => {
                let config = self.s3cmd_config(endpoint)?;
                let args = ["--config", &config, "restore", "--recursive", "--restore-days=3", "--quiet"];
                let args = args.iter().map(|arg| (*arg).to_owned()).chain([format!("s3://{bucket}")]);
                one(&format!("{}/s3cmd", self.others), args.collect())
            }
            Client::Rclone => {
                let remote = format!("bench:{bucket}");
                let args = ["backend", "restore", &remote, "-o", "priority=Standard", "-o", "lifetime=3", "--ca-cert"];
                let roots = self.roots.all.display().to_string();
                let args = args.iter().map(|arg| (*arg).to_owned()).chain([roots]);
                one(&format!("{}/rclone", self.others), args.collect())
            }
            Client::AwsCli => (0..keys)
                .map(|number| {
                    let request = "Days=3,GlacierJobParameters={Tier=Standard}";
                    let key = key(number);
                    let args =
                        ["s3api", "restore-object", "--bucket", &bucket, "--key", &key, "--restore-request", request];
                    self.program(self.aws, args.iter().map(|arg| (*arg).to_owned()).collect(), endpoint)
                })
                .collect(),
        })
    }

    /// This program as a client.
    pub fn ours(&self, name: &str, from: u32, keys: u32, endpoint: &str) -> Result<Program> {
        let itself = std::env::current_exe()?.display().to_string();
        let args = ["client", name, &format!("keys-{}", from + keys), &from.to_string(), &keys.to_string()];
        Ok(self.program(&itself, args.iter().map(|arg| (*arg).to_owned()).collect(), endpoint))
    }

    fn program(&self, path: &str, args: Vec<String>, endpoint: &str) -> Program {
        let (own, all) = (self.roots.own.display().to_string(), self.roots.all.display().to_string());
        let (id, secret) = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
        let env = [
            ("AWS_ACCESS_KEY_ID", id),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_REGION", "us-east-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL_S3", endpoint),
            ("AWS_ENDPOINT_URL_DYNAMODB", endpoint),
            ("SSL_CERT_FILE", &all),
            ("AWS_CA_BUNDLE", &all),
            ("NODE_EXTRA_CA_CERTS", &own),
            ("AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED", "true"),
            // Nobody's own settings.
            ("HOME", self.dir),
            ("RCLONE_CONFIG", "/dev/null"),
            ("RCLONE_CONFIG_BENCH_TYPE", "s3"),
            ("RCLONE_CONFIG_BENCH_PROVIDER", "AWS"),
            ("RCLONE_CONFIG_BENCH_ENDPOINT", endpoint),
            ("RCLONE_CONFIG_BENCH_FORCE_PATH_STYLE", "true"),
            ("RCLONE_CONFIG_BENCH_ACCESS_KEY_ID", id),
            ("RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY", secret),
        ];
        let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
        Program { path: path.into(), args, env }
    }

    fn s3cmd_config(&self, endpoint: &str) -> Result<String> {
        let (scheme, host) = endpoint.split_once("://").unwrap_or_default();
        let https = if scheme == "https" { "True" } else { "False" };
        let config = format!(
            "[default]\naccess_key = AKIAIOSFODNN7EXAMPLE\nsecret_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n\
             host_base = {host}\nhost_bucket = {host}\nuse_https = {https}\nca_certs_file = {}\n",
            self.roots.all.display()
        );
        let file = Path::new(self.dir).join(format!("s3cmd-{scheme}.ini"));
        fs::write(&file, config)?;
        Ok(file.display().to_string())
    }
}
