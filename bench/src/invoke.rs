//! The Lambda Runtime API, and the life of one function under it: start, first event, some more, end.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use serde_json::json;

use crate::dynamodb::DynamoDb;
use crate::function;
use crate::http::{self, Request};

/// Events after the first one.
pub const WARM_CALLS: u32 = 20;

/// Longer than any function here takes to do anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a silent function is looked at, whether it still runs.
const LOOK: Duration = Duration::from_millis(500);

/// A function that is measured.
pub struct Variant {
    pub name: &'static str,
    pub program: PathBuf,
    pub args: Vec<PathBuf>,
}

/// What one life of a function took. Times are in milliseconds, memory in MB.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// From the start of the process to its first question for an event.
    pub init: Spent,
    /// The first event, which makes the TLS connection.
    pub first: Spent,
    /// The median of the events after it.
    pub warm: Spent,
    pub memory_at_init: f64,
    pub memory_peak: f64,
}

/// Time by the clock and on a CPU.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    pub wall: f64,
    pub cpu: f64,
}

/// One life of a function. What it writes goes into a file of this folder, which an error quotes.
pub fn once(variant: &Variant, dynamodb: &DynamoDb, dir: &Path) -> Result<Sample> {
    let api = RuntimeApi::start()?;
    let log = dir.join("function.log");
    let begun = Instant::now();
    let mut child = start(variant, dynamodb, &api.address, File::create(&log)?)?;
    let sample = measure(&mut child, begun, &api);
    // It ends as Lambda ends functions: at once.
    child.kill()?;
    child.wait()?;
    sample.with_context(|| format!("the function wrote: {}", fs::read_to_string(&log).unwrap_or_default().trim_end()))
}

fn start(variant: &Variant, dynamodb: &DynamoDb, api: &str, log: File) -> Result<Child> {
    Command::new(&variant.program)
        .args(&variant.args)
        .env_clear()
        .envs(function::FROM_LAMBDA)
        .envs(function::FROM_THE_TEMPLATE)
        .env("_HANDLER", function::HANDLER)
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .env("AWS_ENDPOINT_URL_DYNAMODB", &dynamodb.endpoint)
        .env("SSL_CERT_FILE", &dynamodb.roots.all)
        .env("AWS_CA_BUNDLE", &dynamodb.roots.all)
        .env("NODE_EXTRA_CA_CERTS", &dynamodb.roots.own)
        // Node 20 works; that next year's SDK wants a newer one is not news here.
        .env("AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED", "true")
        .stdin(Stdio::null())
        .stderr(log.try_clone()?)
        .stdout(log)
        .spawn()
        .with_context(|| format!("cannot start {}", variant.program.display()))
}

fn measure(child: &mut Child, begun: Instant, api: &RuntimeApi) -> Result<Sample> {
    let cpu = CpuClock::of(child)?;
    let mut asks = api.next(child)?;
    let mut used = cpu.now()?;
    let init = Spent { wall: milliseconds(asks.at - begun), cpu: milliseconds(used) };
    let memory_at_init = memory(child, "VmRSS:")?;

    let mut events = Vec::new();
    for number in 0..=WARM_CALLS {
        let begun = Instant::now();
        asks.answer(event(number))?;
        let output = api.output(child)?;
        let wall = milliseconds(output.at - begun);
        output.answer(http::answer("202 Accepted", "", ""))?;
        asks = api.next(child)?;
        let before = std::mem::replace(&mut used, cpu.now()?);
        events.push(Spent { wall, cpu: milliseconds(used - before) });
    }
    let (first, rest) = events.split_first().context("there is an event at least")?;
    let middle = |of: fn(&Spent) -> f64| median(rest.iter().map(of));
    let warm = Spent { wall: middle(|spent| spent.wall), cpu: middle(|spent| spent.cpu) };
    Ok(Sample { init, first: *first, warm, memory_at_init, memory_peak: memory(child, "VmHWM:")? })
}

/// An event of a restore that nobody knows.
fn event(number: u32) -> Vec<u8> {
    let headers = format!(
        "content-type: application/json\r\nlambda-runtime-aws-request-id: {number:08}-0000-4000-8000-000000000000\r\n\
         lambda-runtime-deadline-ms: 4102444800000\r\nlambda-runtime-trace-id: Root=1-5759e988-bd862e3fe1be46a994272793\r\n\
         lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:000000000000:function:bench\r\n"
    );
    let restore = "2026-11-22_archive_photos_standard_0123456789ab";
    let body = json!({"restore": restore, "error": "States.Timeout", "cause": "Task timed out."});
    http::answer("200 OK", &headers, &body.to_string())
}

/// What a function says to the Runtime API, one thing after the other.
struct RuntimeApi {
    address: String,
    requests: Receiver<RuntimeRequest>,
}

/// A request of the function, which waits for its answer.
struct RuntimeRequest {
    at: Instant,
    request: Request,
    back: Sender<Vec<u8>>,
}

impl RuntimeApi {
    fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let (say, requests) = channel();
        // Both threads end with the process: a bench has few of them.
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let say = say.clone();
                thread::spawn(move || listen(connection, &say));
            }
        });
        Ok(Self { address, requests })
    }

    fn next(&self, function: &mut Child) -> Result<RuntimeRequest> {
        self.expect(function, "GET", "/next")
    }

    fn output(&self, function: &mut Child) -> Result<RuntimeRequest> {
        self.expect(function, "POST", "/response")
    }

    fn expect(&self, function: &mut Child, method: &str, end: &str) -> Result<RuntimeRequest> {
        let said = self.wait_for(function)?;
        let Request { method: its_method, path, body } = &said.request;
        if its_method != method || !path.ends_with(end) {
            bail!("the function says {its_method} {path} {}", String::from_utf8_lossy(body));
        }
        Ok(said)
    }

    fn wait_for(&self, function: &mut Child) -> Result<RuntimeRequest> {
        let begun = Instant::now();
        loop {
            match self.requests.recv_timeout(LOOK) {
                Ok(said) => return Ok(said),
                Err(_) if begun.elapsed() > PATIENCE => bail!("the function says nothing"),
                // Without this, a function that cannot start would be waited for.
                Err(_) => ensure!(function.try_wait()?.is_none(), "the function ended before it was told to"),
            }
        }
    }
}

fn listen(connection: TcpStream, say: &Sender<RuntimeRequest>) -> Result<()> {
    connection.set_nodelay(true)?;
    http::serve(connection, |request| {
        let (back, answer) = channel();
        say.send(RuntimeRequest { at: Instant::now(), request, back }).ok()?;
        answer.recv().ok()
    })
}

impl RuntimeRequest {
    fn answer(self, answer: Vec<u8>) -> Result<()> {
        self.back.send(answer).ok().context("the function hung up")
    }
}

/// The CPU time of all threads of a process, those that have ended included.
struct CpuClock(ClockId);

impl CpuClock {
    fn of(child: &Child) -> Result<Self> {
        Ok(Self(clock_getcpuclockid(Pid::from_raw(i32::try_from(child.id())?))?))
    }

    fn now(&self) -> Result<Duration> {
        Ok(self.0.now()?.into())
    }
}

/// A line of what Linux tells of a process's memory, in MB.
fn memory(child: &Child, line: &str) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()))?;
    let kilobytes = status.lines().find_map(|found| found.strip_prefix(line)).context("no such line")?;
    Ok(kilobytes.trim().trim_end_matches(" kB").parse::<f64>()? / 1_024.0)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// The middle one.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
