//! Starts thaw-sim and speaks to its control endpoint.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::http;
use crate::process::{Process, Start, start};
use crate::python::PythonEnv;

/// The simulator's ports: the three above MiniStack's.
#[derive(Clone, Copy)]
pub struct Ports {
    pub s3: u16,
    pub cloudfront: u16,
    pub edge: u16,
}

impl Ports {
    pub fn above(first: u16) -> Self {
        Self { s3: first + 1, cloudfront: first + 2, edge: first + 3 }
    }
}

/// What the simulator is told at its start.
pub struct Settings<'a> {
    pub program: &'a Path,
    pub dir: &'a Path,
    pub ports: Ports,
    pub time_scale: u32,
    pub origin: i64,
    pub region: &'a str,
    pub sqs_endpoint: &'a str,
    pub credentials: (&'a str, &'a str),
}

/// Starts the simulator with nothing inherited.
pub fn launch(python: &PythonEnv, settings: &Settings) -> Result<Process> {
    let Settings { ports, time_scale, origin, region, sqs_endpoint, .. } = settings;
    let args = [
        ("--s3-port", ports.s3.to_string()),
        ("--cloudfront-port", ports.cloudfront.to_string()),
        ("--edge-port", ports.edge.to_string()),
        ("--time-scale", time_scale.to_string()),
        ("--origin", origin.to_string()),
        ("--sqs-endpoint", (*sqs_endpoint).to_owned()),
        ("--region", (*region).to_owned()),
    ];
    let env = [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("AWS_ACCESS_KEY_ID", settings.credentials.0.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", settings.credentials.1.to_owned()),
    ];
    start(&Start {
        name: "thaw-sim",
        program: settings.program,
        args: args.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect(),
        env: BTreeMap::from(env.map(|(name, value)| (name.to_owned(), value))),
        log: &settings.dir.join("sim.log"),
        dir: settings.dir,
        python: &python.program("python"),
    })
}

/// The control endpoint, on the CloudFront API's port.
pub struct Control {
    pub url: String,
}

impl Control {
    /// Creates a bucket.
    pub fn create_bucket(&self, name: &str) -> Result<()> {
        self.post("buckets", &json!({ "name": name })).map(drop)
    }

    /// Creates a distribution in front of the bucket that keeps "403" for a day, so that there is something stale to be
    /// seen; answers its id and domain. Without an origin path, it has a function before the cache and one behind it that
    /// show the folder `originals/` under other paths.
    pub fn create_distribution(
        &self,
        bucket: &str,
        origin_path: &str,
        cache_policy: Option<Value>,
    ) -> Result<(String, String)> {
        let rewriting = |event: &str, folder: &str| {
            let rewrites = json!([{ "from": format!("/{folder}/*"), "to": "/originals/*" }]);
            json!({ "path_pattern": format!("/{folder}/*"), event: { "name": folder, "rewrites": rewrites } })
        };
        let behaviors = match origin_path.is_empty() {
            true => vec![rewriting("viewer_request", "before"), rewriting("origin_request", "behind")],
            false => Vec::new(),
        };
        let config = json!({
            "default_behavior": { "cache_policy": cache_policy },
            "behaviors": behaviors,
            "origins": [{
                "id": "archive", "bucket": bucket, "origin_path": origin_path, "origin_access_control": "ELOCALSTACK",
            }],
            "custom_error_responses": [{ "error_code": 403, "error_caching_min_ttl": 24 * 3600 }],
        });
        self.put_distribution(&config)
    }

    /// Creates a distribution from its config, as `sim/README.md` has it; answers its id and domain.
    pub fn put_distribution(&self, config: &Value) -> Result<(String, String)> {
        let made = self.post("distributions", config)?;
        let field = |name: &str| {
            made[name]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("the new distribution has no {name}: {made}"))
        };
        Ok((field("id")?, field("domain_name")?))
    }

    /// Moves an Intelligent-Tiering object to an access tier, as months without a read would.
    pub fn move_to_access_tier(&self, bucket: &str, key: &str, tier: &str) -> Result<()> {
        let moved =
            json!({ "bucket": bucket, "key": key, "storage_class": "INTELLIGENT_TIERING", "access_tier": tier });
        self.post("objects", &moved).map(drop)
    }

    /// Tells where S3's events go, as the rules of the template do.
    pub fn deliver_events_to(&self, initiated: &str, completed: &str, inbox: &str, work_bucket: &str) -> Result<()> {
        let created = json!({ "queue": inbox, "bucket": work_bucket, "prefix": "inbox/" });
        let queues = json!({ "initiated": initiated, "completed": completed, "created": created });
        self.post("queues", &queues).map(drop)
    }

    /// Everything the simulator knows.
    pub fn state(&self) -> Result<Value> {
        http::get(&format!("{}/_sim/state", self.url))?.ok("the simulator's state")?.json()
    }

    /// A call of the control endpoint, as `sim/README.md` has it.
    pub fn post(&self, what: &str, body: &Value) -> Result<Value> {
        let answer = http::post_json(&format!("{}/_sim/{what}", self.url), body)?.ok(&format!("simulator: {what}"))?;
        if answer.body.is_empty() { Ok(Value::Null) } else { answer.json() }
    }
}
