//! `cargo xtask up`: boots a local stack and deploys the real template with the real Lambda binary into it.
//!
//! Either all of it is up and `stack.json` tells where, or nothing is left running.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::demo::objects;
use crate::process::Process;
use crate::python::{PythonEnv, python_env};
use crate::recorder::ServicePorts;
use crate::release::Release;
use crate::simulator::Ports;
use crate::stack::{Gallery, ProcessList, S3, Stack, StackLocation, UploadedRelease};
use crate::teardown::Teardown;
use crate::workspace::{cargo, root, target_dir};
use crate::{
    cloudformation, distribution, down, earlier, lambda_zip, ministack, process, recorder, simulator, workspace,
};

/// What `up` can be told.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    pub which: StackLocation,
    /// Who plays S3 and CloudFront
    #[arg(long, value_enum, default_value = "sim")]
    pub s3: S3,
    /// Enforce signatures and the Lambdas' IAM policies
    #[arg(long)]
    pub auth: bool,
    /// How many seconds of waiting pass in one real second
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..))]
    pub time_scale: u32,
    /// Run what would be deployed: slow to build, fast to run
    #[arg(long)]
    pub release: bool,
    /// Write every request of thaw and its answer into exchanges.jsonl beside stack.json; takes three ports more
    #[arg(long)]
    pub record: bool,
    /// Deploy the release before this one, with this one uploaded beside it: to test the upgrade
    #[arg(long)]
    pub upgrade: bool,
}

impl Options {
    /// A stack as `cargo xtask up` boots it there without any other option: on the simulator, with an hour of waiting in a second.
    pub fn at(which: &StackLocation) -> Self {
        Self {
            which: which.clone(),
            s3: S3::Sim,
            auth: false,
            time_scale: 3600,
            release: false,
            record: false,
            upgrade: false,
        }
    }
}

const REGION: &str = "us-east-1";
/// What the emulator takes as the account's root; it opens nothing anywhere else.
const CREDENTIALS: (&str, &str) = ("test", "test");
const STACK_NAME: &str = "thaw";
const CODE_BUCKET: &str = "thaw-code";
const ARCHIVE_BUCKET: &str = "thaw-archive";
/// The second archive, and what its distribution puts before every path.
const MEDIA_BUCKET: &str = "thaw-media";
const MEDIA_ORIGIN_PATH: &str = "/public";
/// The third archive.
const GALLERY_BUCKET: &str = "thaw-gallery";
const DIRECTORY_INDEX: &str = "index.html";
/// Under which paths the functions of the first distribution show which keys.
const PATHS_OF_ORIGINALS: [&str; 2] = ["/before/{path...}", "/behind/{path...}"];

/// Boots a stack and says where it is.
pub fn run(options: &Options) -> Result<()> {
    let dir = options.which.dir();
    if let Some(stack) = Stack::read(&dir)?
        && stack.is_up()
    {
        println!("a local stack is up already, see {}", dir.join("stack.json").display());
        println!("end it with {}", down_command(&options.which));
        return Ok(());
    }
    let (stack, teardown) = up(options)?;
    // Something to restore.
    objects::put(&stack, &objects::all(stack.s3))?;
    teardown.disarm();
    println!("\nthe local stack is up");
    println!("  HTTP API  {}", stack.api_url);
    println!("  AWS APIs  {}", stack.endpoint_url);
    println!("  edge      {}", stack.edge_url);
    println!("  the rest  {}", dir.join("stack.json").display());
    println!("  end it    {}", down_command(&options.which));
    println!(
        "\n{} holds archived objects. With {} in your PATH:",
        stack.archive_bucket,
        target_dir().join("debug").display()
    );
    let local = match dir == target_dir().join("local") {
        true => "--local".to_owned(),
        false => format!("--local={}", dir.join("stack.json").display()),
    };
    println!("  thaw plan {local} s3://{}/photos/2019/cat.jpg", stack.archive_bucket);
    println!("  thaw restore {local} s3://{}/photos/2019/cat.jpg --wait", stack.archive_bucket);
    println!("  thaw console {local}");
    Ok(())
}

/// Boots a stack that ends with the answered guard, unless that is disarmed.
pub fn up(options: &Options) -> Result<(Stack, Teardown)> {
    let begun = Instant::now();
    let dir = options.which.dir();
    if let Some(stack) = Stack::read(&dir)?
        && stack.is_up()
    {
        bail!("a local stack is up already in {}; end it with {}", dir.display(), down_command(&options.which));
    }
    // What an interrupted command may have left.
    down::stop(&dir)?;
    ports_are_free(options)?;

    let programs = build(options.release)?;
    let python = python_env("python", &root().join("xtask/python/requirements.lock"))?;

    fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
    fs::write(dir.join(down::MARK), "")?;
    let teardown = Teardown::arm(&dir)?;
    match boot(options, &dir, &programs, &python) {
        Ok(stack) => {
            println!("up after {:.1} s", begun.elapsed().as_secs_f64());
            Ok((stack, teardown))
        }
        Err(error) => Err(error.context(log_tails(&dir))),
    }
}

/// The programs of a stack.
pub struct Programs {
    bootstrap: PathBuf,
    simulator: PathBuf,
    recorder: PathBuf,
}

/// Builds what runs in the stack, with cargo's own progress shown.
///
/// The whole workspace, as `cargo xtask test` does: a smaller selection would choose other features of shared crates,
/// and so compile the AWS SDK a second time.
pub fn build(release: bool) -> Result<Programs> {
    if release {
        // One by one: built together, each would get the features that the other asks of what they share.
        for package in ["thaw-bootstrap", "thaw-sim"] {
            workspace::run(&mut cargo(&["build", "--release", "--package", package]))?;
        }
    } else {
        workspace::run(&mut cargo(&["build", "--workspace", "--bins"]))?;
    }
    let built = target_dir().join(if release { "release" } else { "debug" });
    let program = |name: &str| built.join(name);
    Ok(Programs { bootstrap: program("bootstrap"), simulator: program("thaw-sim"), recorder: program("thaw-recorder") })
}

fn boot(options: &Options, dir: &Path, programs: &Programs, python: &PythonEnv) -> Result<Stack> {
    let port = options.which.port;
    let ports = Ports::above(port);
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let origin = Timestamp::now().as_second();
    let sim = options.s3 == S3::Sim;
    let mut processes = ProcessList::read(dir)?;

    // Whom thaw asks: the emulators, or the recorder before them.
    let asked = if options.record { ServicePorts::above(port, ports) } else { ServicePorts::none(port, ports) };
    let (s3, cloudfront) = if sim { (asked.s3, asked.cloudfront) } else { (asked.aws, asked.aws) };
    // By service: the tests know this stack's processes by their AWS_ENDPOINT_URL, which stays the emulator's.
    let endpoints = [
        ("AWS_ENDPOINT_URL_S3", url(s3)),
        ("AWS_ENDPOINT_URL_S3_CONTROL", url(s3)),
        ("AWS_ENDPOINT_URL_CLOUDFRONT", url(cloudfront)),
        ("AWS_ENDPOINT_URL_DYNAMODB", url(asked.aws)),
        ("AWS_ENDPOINT_URL_SFN", url(asked.aws)),
        ("AWS_ENDPOINT_URL_SQS", url(asked.aws)),
        ("AWS_ENDPOINT_URL_EVENTBRIDGE", url(asked.aws)),
        ("AWS_ENDPOINT_URL_LAMBDA", url(asked.aws)),
    ];
    let clock = sim.then(|| format!("{origin},{}", options.time_scale));
    if options.record {
        let recorder = recorder::launch(python, &programs.recorder, dir, port, sim.then_some(ports))?;
        processes.add(recorder.clone())?;
        process::wait_ready(&recorder, &dir.join("recorder.log"))?;
    }
    let emulator = ministack::launch(
        python,
        &ministack::Settings {
            dir,
            port,
            region: REGION,
            credentials: CREDENTIALS,
            time_scale: options.time_scale,
            auth: options.auth,
            endpoints: &endpoints,
            clock,
        },
    )?;
    processes.add(emulator.clone())?;
    if sim {
        let settings = simulator::Settings {
            program: &programs.simulator,
            dir,
            ports,
            time_scale: options.time_scale,
            origin,
            region: REGION,
            sqs_endpoint: &url(port),
            credentials: CREDENTIALS,
        };
        let simulator = simulator::launch(python, &settings)?;
        processes.add(simulator.clone())?;
        process::wait_ready(&simulator, &dir.join("sim.log"))?;
    }
    ministack::wait_ready(&emulator, &url(port))?;

    let mut stack = Stack {
        endpoint_url: url(port),
        // What the tests ask of the simulator is recorded, too: it is answered more than thaw asks.
        s3_endpoint_url: url(if sim { asked.s3 } else { port }),
        cloudfront_endpoint_url: url(if sim { asked.cloudfront } else { port }),
        edge_url: url(if sim { ports.edge } else { port }),
        edge_host: String::new(),
        region: REGION.into(),
        access_key_id: CREDENTIALS.0.into(),
        secret_access_key: CREDENTIALS.1.into(),
        api_url: String::new(),
        state_machine_arn: String::new(),
        archive_bucket: ARCHIVE_BUCKET.into(),
        work_bucket: String::new(),
        distribution_id: String::new(),
        media_bucket: MEDIA_BUCKET.into(),
        media_distribution_id: String::new(),
        gallery: None,
        ledger_table: String::new(),
        topic_arn: String::new(),
        restore_initiated_queue_url: String::new(),
        restore_completed_queue_url: String::new(),
        inbox_file_queue_url: String::new(),
        releases: Vec::new(),
        time_scale: options.time_scale,
        origin: sim.then_some(origin),
        s3: options.s3,
        auth: options.auth,
        port,
        processes: processes.processes,
    };
    (stack.distribution_id, stack.edge_host) = make_archive(&stack, ARCHIVE_BUCKET, "", None)?;
    let by_version = json!({"id": "by-version", "query_string_behavior": "allExcept", "query_strings": ["utm_source"]});
    (stack.media_distribution_id, _) = make_archive(&stack, MEDIA_BUCKET, MEDIA_ORIGIN_PATH, Some(by_version))?;
    stack.gallery = sim.then(|| make_gallery(&stack)).transpose()?;
    deploy(&mut stack, options, dir, &programs.bootstrap)?;
    after_deploy(&stack)?;
    assert_no_egress(&stack, &emulator)?;
    stack.write(dir)?;
    Ok(stack)
}

/// An archive bucket and the distribution in front of it, which a user of thaw already has; answers the distribution's id
/// and domain. MiniStack's CloudFront has no edge, so there the cache policy would decide nothing.
fn make_archive(
    stack: &Stack,
    bucket: &str,
    origin_path: &str,
    cache_policy: Option<Value>,
) -> Result<(String, String)> {
    match stack.s3 {
        S3::Sim => {
            let control = stack.control();
            control.create_bucket(bucket)?;
            distribution::send_no_events(&stack.s3(), bucket)?;
            let made = control.create_distribution(bucket, origin_path, cache_policy)?;
            let_read(stack, bucket, &[&made.0])?;
            Ok(made)
        }
        S3::Ministack => {
            let aws = stack.aws();
            aws.create_bucket(bucket)?;
            distribution::create(&aws, bucket, origin_path)
        }
    }
}

/// Lets the simulator's distributions read a bucket.
fn let_read(stack: &Stack, bucket: &str, distributions: &[&str]) -> Result<()> {
    // The account of the simulator.
    let arn = |id: &&str| format!("arn:aws:cloudfront::000000000000:distribution/{id}");
    let arns: Vec<_> = distributions.iter().map(arn).collect();
    distribution::let_read(&stack.s3(), bucket, &arns)
}

/// The archive that three distributions show: a plain one with its staging distribution, and one that caches by query string.
fn make_gallery(stack: &Stack) -> Result<Gallery> {
    const POLICY: &str = "gallery";
    let control = stack.control();
    control.create_bucket(GALLERY_BUCKET)?;
    distribution::send_no_events(&stack.s3(), GALLERY_BUCKET)?;
    let make = |more: Value| {
        let mut config = json!({
            "origins": [{ "id": "archive", "bucket": GALLERY_BUCKET, "origin_access_control": "ELOCALSTACK" }],
            "custom_error_responses": [{ "error_code": 403, "error_caching_min_ttl": 24 * 3600 }],
        });
        config.as_object_mut().zip(more.as_object()).into_iter().for_each(|(config, more)| config.extend(more.clone()));
        control.put_distribution(&config)
    };
    let (distribution_id, _) =
        make(json!({ "default_root_object": DIRECTORY_INDEX, "continuous_deployment_policy_id": POLICY }))?;
    let (staging_distribution_id, staging_domain) =
        make(json!({ "default_root_object": DIRECTORY_INDEX, "staging": true }))?;
    let (query_distribution_id, _) = make(json!({ "default_behavior": { "query_string": true } }))?;
    let_read(stack, GALLERY_BUCKET, &[&distribution_id, &staging_distribution_id, &query_distribution_id])?;
    control.post("policies", &json!({ "id": POLICY, "enabled": true, "staging_distributions": [staging_domain] }))?;
    let bucket = GALLERY_BUCKET.to_owned();
    Ok(Gallery { bucket, distribution_id, staging_distribution_id, query_distribution_id })
}

/// Uploads the release where CloudFormation looks for it, and creates the stack; with `upgrade`, from the release before.
fn deploy(stack: &mut Stack, options: &Options, dir: &Path, bootstrap: &Path) -> Result<()> {
    let aws = stack.aws();
    aws.create_bucket(CODE_BUCKET)?;
    let mut releases = vec![upload(stack, release_of_this_source(stack.auth, dir, bootstrap)?)?];
    if options.upgrade {
        let earlier = earlier::build()?;
        let earlier = release(stack.auth, dir, &earlier.bootstrap, earlier.definition, &earlier.template)?;
        releases.insert(0, upload(stack, earlier)?);
    }
    let outputs = cloudformation::deploy(&aws, STACK_NAME, &releases[0].template_url, &releases[0].parameters)?;
    let output = |name: &str| {
        outputs.get(name).cloned().with_context(|| format!("the stack has no output {name}, but {:?}", outputs.keys()))
    };
    stack.state_machine_arn = output("StateMachineArn")?;
    stack.work_bucket = output("WorkBucket")?;
    stack.ledger_table = output("LedgerTable")?;
    stack.topic_arn = output("TopicArn")?;
    stack.restore_initiated_queue_url = output("RestoreInitiatedQueueUrl")?;
    stack.restore_completed_queue_url = output("RestoreCompletedQueueUrl")?;
    stack.inbox_file_queue_url = output("InboxFileQueueUrl")?;
    stack.api_url = stack.api_url_of(&output("ApiUrl")?)?;
    stack.releases = releases;
    Ok(())
}

/// Puts a release into the code bucket; answers how the stack gets it.
fn upload(stack: &Stack, release: Release) -> Result<UploadedRelease> {
    let mut template = Default::default();
    for (name, bytes) in &release.files {
        if name == "template.yaml" {
            template = String::from_utf8_lossy(bytes);
        }
        stack.aws().put_object(CODE_BUCKET, &format!("{}{name}", release.prefix()), &[], bytes)?;
    }
    let template_url = format!("{}/{CODE_BUCKET}/{}template.yaml", stack.endpoint_url, release.prefix());

    let path_rules = json!([{
        "distribution": stack.distribution_id, "keys": "originals/{path...}", "paths": PATHS_OF_ORIGINALS,
    }]);
    let (mut buckets, mut distributions) = (
        vec![stack.archive_bucket.as_str(), &stack.media_bucket],
        vec![stack.distribution_id.as_str(), &stack.media_distribution_id],
    );
    if let Some(gallery) = &stack.gallery {
        buckets.push(&gallery.bucket);
        distributions.extend([gallery.distribution_id.as_str(), &gallery.query_distribution_id]);
    }
    let parameters = [
        ("CodeBucket", CODE_BUCKET.to_owned()),
        ("ArchiveBuckets", buckets.join(",")),
        ("DistributionIds", distributions.join(",")),
        ("DirectoryIndex", DIRECTORY_INDEX.to_owned()),
        ("PathRules", path_rules.to_string()),
        ("ManageBucketEvents", "true".to_owned()),
        ("Architecture", lambda_zip::ARCHITECTURE.to_owned()),
    ];
    // The release before this one may not have all of them.
    let declared = |name: &str| template.contains(&format!("\n  {name}:\n    Type: "));
    let parameters = parameters.into_iter().filter(|(name, _)| declared(name));
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(UploadedRelease { id: release.id, template_url, parameters })
}

/// A release as a local stack can take it.
fn release(auth: bool, dir: &Path, bootstrap: &Path, definition: Vec<u8>, template: &str) -> Result<Release> {
    let program = lambda_zip::stripped(bootstrap, &dir.join("bootstrap"))?;
    let zip = lambda_zip::lambda_zip(&program, lambda_zip::Compression::Store)?;
    Release::for_this_machine(zip, definition, &for_the_emulator(template, auth)?)
}

/// The release of this source, as it was built for a local stack.
pub fn release_of_this_source(auth: bool, dir: &Path, bootstrap: &Path) -> Result<Release> {
    let definition = fs::read(root().join("statemachine/thaw.asl.json")).context("cannot read the workflow")?;
    let template = fs::read_to_string(root().join("infra/template.yaml")).context("cannot read the template")?;
    release(auth, dir, bootstrap, definition, &template)
}

/// The template as the emulator can take it. Its policies refuse whoever comes without TLS, and the local stack speaks plain
/// HTTP; an emulator that enforces policies gets that one demand turned off.
///
/// The emulator also wants `sqs:DeleteMessageBatch`, an action that AWS does not have: there `sqs:DeleteMessage` allows the
/// batch, too (SQS Developer Guide, "Amazon SQS API permissions: Actions and resource reference").
fn for_the_emulator(template: &str, auth: bool) -> Result<String> {
    const NO_TLS: &str = r#""aws:SecureTransport": "false""#;
    if !auth {
        return Ok(template.to_owned());
    }
    ensure!(template.contains(NO_TLS), "the template has no {NO_TLS} to turn off; is it written in another way now?");
    let template = template.replace(NO_TLS, r#""aws:SecureTransport": "no demand""#);
    Ok(template.replace("sqs:DeleteMessage,", "sqs:DeleteMessage, sqs:DeleteMessageBatch,"))
}

/// What the emulator cannot take from the template.
fn after_deploy(stack: &Stack) -> Result<()> {
    complete(stack, &stack.work_bucket, &stack.ledger_table)?;
    if stack.s3 == S3::Sim {
        stack.control().deliver_events_to(
            &stack.restore_initiated_queue_url,
            &stack.restore_completed_queue_url,
            &stack.inbox_file_queue_url,
            &stack.work_bucket,
        )?;
    }
    Ok(())
}

/// Gives a stack in the emulator what it cannot take from the template, except S3's events: the simulator delivers those to
/// the queues of one stack.
pub fn complete(stack: &Stack, work_bucket: &str, ledger_table: &str) -> Result<()> {
    if stack.s3 == S3::Sim {
        // The template made the work bucket in MiniStack, but the Lambdas' S3 is the simulator.
        stack.control().create_bucket(work_bucket)?;
    }
    // MiniStack ignores TimeToLiveSpecification in templates.
    let time_to_live = json!({
        "TableName": ledger_table,
        "TimeToLiveSpecification": { "Enabled": true, "AttributeName": "ttl" },
    });
    stack.aws().json("dynamodb", "DynamoDB_20120810.UpdateTimeToLive", &time_to_live)?;
    Ok(())
}

/// Makes one Lambda run, by a harmless call through the HTTP API, and looks at what it was given.
fn assert_no_egress(stack: &Stack, emulator: &Process) -> Result<()> {
    let answer = stack.api("GET", "/v1/restores", &[], b"")?.ok("the first call through the HTTP API")?;
    ensure!(answer.json()?.is_object(), "the HTTP API answers something else than JSON: {}", answer.text());
    match ministack::check_lambdas(emulator)? {
        Some(0) => bail!("no Lambda process is running after a call; cannot tell whether it stays on this machine"),
        Some(_) => {}
        None => println!("(this system hides the Lambdas' environments: only MiniStack's own was checked)"),
    }
    Ok(())
}

fn ports_are_free(options: &Options) -> Result<()> {
    let first = options.which.port;
    ensure!(first < u16::MAX - 6, "port {first} leaves no room for the six ports above it");
    let last = first
        + if options.record {
            6
        } else if options.s3 == S3::Sim {
            3
        } else {
            0
        };
    for port in first..=last {
        if let Err(error) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            bail!(
                "port {port} cannot be used ({error}); the local stack takes {}. \
                 Choose another place with --port, for example --port {}",
                if first == last { first.to_string() } else { format!("{first} to {last}") },
                first.saturating_add(10)
            );
        }
    }
    Ok(())
}

/// The ends of the logs: what the processes said before it went wrong.
fn log_tails(dir: &Path) -> String {
    let mut words = String::from("the local stack did not come up");
    for name in ["ministack.log", "sim.log", "recorder.log"] {
        let Ok(text) = fs::read_to_string(dir.join(name)) else { continue };
        let lines: Vec<&str> = text.lines().collect();
        words += &format!("\n--- the end of {name}\n{}", lines[lines.len().saturating_sub(15)..].join("\n"));
    }
    words + "\n---"
}

fn down_command(which: &StackLocation) -> String {
    let mut command = String::from("cargo xtask down");
    if which.port != crate::stack::DEFAULT_PORT {
        command += &format!(" --port {}", which.port);
    }
    if let Some(dir) = &which.dir {
        command += &format!(" --dir {}", dir.display());
    }
    command
}
