//! Starts thaw-recorder before the emulators, and has what it wrote down checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::process::{Process, Start, start};
use crate::python::{PythonEnv, python_env};
use crate::simulator::Ports;
use crate::workspace::{root, run};

/// The file of the exchanges, in the stack's folder.
pub const EXCHANGES: &str = "exchanges.jsonl";

/// The ports at which AWS's services are asked.
#[derive(Clone, Copy)]
pub struct ServicePorts {
    pub aws: u16,
    pub s3: u16,
    pub cloudfront: u16,
}

impl ServicePorts {
    /// Those of the recorder: above the emulators' four.
    pub fn above(first: u16, emulators: Ports) -> Self {
        Self { aws: first + 4, s3: emulators.s3 + 4, cloudfront: emulators.cloudfront + 4 }
    }

    /// Those of the emulators themselves.
    pub fn none(first: u16, emulators: Ports) -> Self {
        Self { aws: first, s3: emulators.s3, cloudfront: emulators.cloudfront }
    }
}

/// Starts the recorder with nothing inherited: before MiniStack, and before the simulator if there is one.
pub fn launch(python: &PythonEnv, program: &Path, dir: &Path, first: u16, simulator: Option<Ports>) -> Result<Process> {
    let mut args = vec!["--file".to_owned(), dir.join(EXCHANGES).to_string_lossy().into_owned()];
    let mut proxy = |name: &str, port: u16, leads_to: u16| {
        let leads_to = format!("http://127.0.0.1:{leads_to}");
        args.extend(["--proxy".to_owned(), name.to_owned(), port.to_string(), leads_to]);
    };
    let ports = Ports::above(first);
    let asked = ServicePorts::above(first, ports);
    proxy("ministack", asked.aws, first);
    if let Some(ports) = simulator {
        proxy("sim", asked.s3, ports.s3);
        proxy("sim", asked.cloudfront, ports.cloudfront);
    }
    start(&Start {
        name: "thaw-recorder",
        program,
        args,
        env: BTreeMap::from([("PATH".to_owned(), std::env::var("PATH").unwrap_or_default())]),
        log: &dir.join("recorder.log"),
        dir,
        python: &python.program("python"),
    })
}

/// Holds what was written down in a stack's folder against AWS's service models.
pub fn check(dir: &Path) -> Result<()> {
    let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;
    let script = root().join("xtask/python/check_exchanges.py");
    run(Command::new(python.program("python")).arg(script).arg(dir.join(EXCHANGES)))
}
