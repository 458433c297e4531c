//! Starts MiniStack, the AWS emulator, so that neither it nor any Lambda can leave this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::http;
use crate::process::{Process, Start, start, wait_until};
use crate::python::PythonEnv;

/// Starts in a second on an idle machine; a busy one may take its time.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Port 9 discards: whatever honours a proxy variable and looks for another host ends here.
const DISCARD_PROXY: &str = "http://127.0.0.1:9";

/// The Lambdas inherit MiniStack's environment, so what is set here decides whom they talk to.
pub struct Settings<'a> {
    pub dir: &'a Path,
    pub port: u16,
    pub region: &'a str,
    pub credentials: (&'a str, &'a str),
    pub time_scale: u32,
    pub auth: bool,
    /// Where the Lambdas find AWS, by the variable's name, if not at MiniStack itself.
    pub endpoints: &'a [(&'a str, String)],
    /// `THAW_CLOCK`, where virtual time runs.
    pub clock: Option<String>,
}

/// Starts MiniStack with exactly this environment and nothing inherited.
pub fn launch(python: &PythonEnv, settings: &Settings) -> Result<Process> {
    let env = environment(settings);
    check_no_egress(env.iter())?;
    for dir in ["home", "tmp"] {
        fs::create_dir_all(settings.dir.join(dir))?;
    }
    start(&Start {
        name: "MiniStack",
        program: &python.program("ministack"),
        args: Vec::new(),
        env,
        log: &settings.dir.join("ministack.log"),
        dir: settings.dir,
        python: &python.program("python"),
    })
}

/// Waits until it answers; an error quotes why it does not.
pub fn wait_ready(process: &Process, endpoint: &str) -> Result<()> {
    let url = format!("{endpoint}/_ministack/ready");
    let answered = || http::get(&url).is_ok_and(|answer| answer.status == 200);
    if !wait_until(READY_WITHIN, || answered() || !process.is_alive()) {
        bail!("MiniStack does not answer on {endpoint} within {} s", READY_WITHIN.as_secs());
    }
    ensure!(process.is_alive(), "MiniStack ended while starting");
    Ok(())
}

fn environment(settings: &Settings) -> BTreeMap<String, String> {
    let endpoint = format!("http://127.0.0.1:{}", settings.port);
    let path = |name: &str| settings.dir.join(name).to_string_lossy().into_owned();
    let mut env: BTreeMap<String, String> = [
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("HOME", path("home")),
        ("TMPDIR", path("tmp")),
        ("LANG", "C.UTF-8".into()),
        ("BIND_HOST", "127.0.0.1".into()),
        // Else it names itself `localhost` in queue URLs, which may mean ::1.
        ("MINISTACK_HOST", "127.0.0.1".into()),
        ("GATEWAY_PORT", settings.port.to_string()),
        ("AUTH", settings.auth.to_string()),
        ("LAMBDA_EXECUTOR", "local".into()),
        // Services that would open ports of their own.
        ("IOT_MTLS_ENABLED", "0".into()),
        ("SFTP_ENABLED", "0".into()),
        ("MINISTACK_REGION", settings.region.into()),
        ("AWS_REGION", settings.region.into()),
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", settings.credentials.0.into()),
        ("AWS_SECRET_ACCESS_KEY", settings.credentials.1.into()),
        ("AWS_CONFIG_FILE", "/dev/null".into()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null".into()),
        ("AWS_EC2_METADATA_DISABLED", "true".into()),
        ("HTTP_PROXY", DISCARD_PROXY.into()),
        ("HTTPS_PROXY", DISCARD_PROXY.into()),
        ("NO_PROXY", "127.0.0.1,localhost".into()),
        // Scales Wait states and retry pauses; timeouts of tasks stay real.
        ("SFN_WAIT_SCALE", (1.0 / f64::from(settings.time_scale)).to_string()),
        // The Lambda binary refuses to start if this is set and an endpoint is not on this machine.
        ("THAW_LOCAL", "1".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    env.extend(settings.endpoints.iter().map(|(name, url)| ((*name).to_owned(), url.clone())));
    env.extend(settings.clock.iter().map(|clock| ("THAW_CLOCK".to_owned(), clock.clone())));
    env
}

/// Whether this environment keeps an AWS SDK on this machine: an endpoint for every service, all of them loopback,
/// and no file or metadata service from which real credentials or endpoints could come.
pub fn check_no_egress<'a>(env: impl Iterator<Item = (&'a String, &'a String)>) -> Result<()> {
    let mut general_endpoint = false;
    let mut files = 0;
    for (name, value) in env {
        if name.starts_with("AWS_ENDPOINT_URL") {
            ensure!(value.starts_with("http://127.0.0.1:"), "{name} is {value}, which is not on this machine");
            general_endpoint |= name == "AWS_ENDPOINT_URL";
        }
        if matches!(name.as_str(), "AWS_CONFIG_FILE" | "AWS_SHARED_CREDENTIALS_FILE") {
            ensure!(value == "/dev/null", "{name} is {value}; it could name other endpoints");
            files += 1;
        }
        ensure!(name != "AWS_PROFILE", "AWS_PROFILE is set; it could name other endpoints");
        ensure!(name != "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "{name} is set; it leads to the real AWS");
    }
    ensure!(general_endpoint, "AWS_ENDPOINT_URL is not set: a Lambda would look for the real AWS");
    ensure!(files == 2, "AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE must be /dev/null");
    Ok(())
}

/// Looks at the Lambda processes that run now, and asserts for each that it has no way to a real AWS host.
/// Answers how many there were; none where the system does not show other processes' environments.
pub fn check_lambdas(ministack: &Process) -> Result<Option<usize>> {
    let Ok(entries) = fs::read_dir("/proc") else { return Ok(None) };
    let mut seen = 0;
    for entry in entries.flatten() {
        let Ok(environ) = fs::read(entry.path().join("environ")) else { continue };
        if parent(&entry.path()) != Some(ministack.pid) {
            continue;
        }
        let env: BTreeMap<String, String> = String::from_utf8_lossy(&environ)
            .split('\0')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if let Some(handler) = env.get("_HANDLER") {
            if let Err(error) = check_no_egress(env.iter()) {
                bail!("Lambda {handler} (pid {}): {error}", entry.file_name().to_string_lossy());
            }
            seen += 1;
        }
    }
    Ok(Some(seen))
}

fn parent(process: &Path) -> Option<i32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(port: u16) -> Settings<'static> {
        Settings {
            dir: Path::new("/nowhere"),
            port,
            region: "us-east-1",
            credentials: ("test", "test"),
            time_scale: 3600,
            auth: false,
            endpoints: &[],
            clock: None,
        }
    }

    #[test]
    fn our_own_environment_allows_no_egress() {
        check_no_egress(environment(&settings(4600)).iter()).unwrap();
    }

    #[test]
    fn an_environment_that_leads_to_aws_is_refused() {
        #[track_caller]
        fn refused(change: impl Fn(&mut BTreeMap<String, String>)) {
            let mut env = environment(&settings(4600));
            change(&mut env);
            assert!(check_no_egress(env.iter()).is_err());
        }
        refused(|env| drop(env.remove("AWS_ENDPOINT_URL")));
        refused(|env| drop(env.remove("AWS_CONFIG_FILE")));
        refused(|env| drop(env.insert("AWS_PROFILE".into(), "work".into())));
        refused(|env| drop(env.insert("AWS_ENDPOINT_URL_S3".into(), "https://s3.amazonaws.com".into())));
        refused(|env| drop(env.insert("AWS_ENDPOINT_URL".into(), "http://127.0.0.1.example.com".into())));
    }
}
