//! How fast S3 is asked for restores: thaw's StartRestores beside other clients that ask for the same.
//!
//! S3 is a thread of this process; each client is a process of its own, and all take turns, so that a noisy moment of the
//! machine disturbs all of them. S3 counts the keys: a client that leaves one out fails the bench.
//!
//! `cargo xtask bench restore` installs the other clients and calls this program.

#[path = "../../src/certificates.rs"]
mod certificates;
mod client;
mod comparison;
mod process;
mod quota;
#[path = "../../src/report.rs"]
mod report;
mod server;
mod table;
mod tools;

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use crate::report::{Mode, print_aims};
use crate::server::Server;
use crate::tools::Tools;

fn main() -> Result<()> {
    let (mode, args) = Mode::from_args(std::env::args().skip(1));
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["client", name, bucket, from, keys] => {
            // One thread, as in the function: see `bootstrap`.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(client::run(name, bucket, from, keys))
        }
        ["measure", python, aws, others, node, script, dir] => {
            let (roots, config) = certificates::make(&PathBuf::from(dir))?;
            let server = Server::start(config)?;
            let tools = Tools { python, aws, others, node, script, dir, roots };
            let comparisons = comparison::run(&server, &tools, mode, |comparison| table::print(comparison, mode))?;
            let quotas = quota::run(&server, &tools, mode)?;
            table::print_quotas(&quotas);
            ensure!(print_aims(&table::aims(&comparisons, &quotas), mode), "an aim is missed");
            Ok(())
        }
        _ => bail!("started with other arguments than `cargo xtask bench restore` does"),
    }
}
