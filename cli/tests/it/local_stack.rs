//! The commands on a running local stack, as the README shows them.

/// Named as the other tests that need the simulator's S3.
mod sim {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde_json::Value;

    use crate::api::{seen, thaw};
    use crate::console::client::Console;

    struct Stack {
        file: String,
        about: Value,
    }

    impl Stack {
        fn running() -> Self {
            let file = PathBuf::from(std::env::var_os("THAW_STACK").expect("THAW_STACK names the stack.json"));
            let about = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            Self { file: file.to_str().unwrap().to_owned(), about }
        }

        fn about(&self, field: &str) -> &str {
            self.about[field].as_str().unwrap()
        }

        /// Puts an archived object.
        fn put(&self, key: &str) {
            self.put_into("GLACIER", key, "a cat");
        }

        fn put_into(&self, class: &str, key: &str, content: &str) {
            self.put_s3(Some(class), &format!("{}/{key}", self.about("archive_bucket")), content);
        }

        /// Puts something at a path of S3: an object of this class, a bucket, or a configuration of a bucket.
        fn put_s3(&self, class: Option<&str>, path: &str, body: &str) {
            let url = format!("{}/{path}", self.about("s3_endpoint_url"));
            // The simulator checks no signature, but the signature says for which service a request is.
            let signature =
                "AWS4-HMAC-SHA256 Credential=test/20261129/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
            let mut request = ureq::put(&url).header("authorization", signature);
            if let Some(class) = class {
                request = request.header("x-amz-storage-class", class);
            }
            let answer = request.send(body).unwrap();
            assert_eq!(answer.status(), 200);
        }

        /// Runs a command of the AWS CLI against the stack's S3.
        fn run(&self, command: &str) {
            // The AWS CLI of the local stack.
            let programs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python/bin");
            let path = std::env::var("PATH").unwrap();
            let status = Command::new("sh")
                .args(["-c", command])
                .env("PATH", format!("{}:{path}", programs.canonicalize().unwrap().display()))
                .env("AWS_ENDPOINT_URL", self.about("s3_endpoint_url"))
                .env("AWS_ACCESS_KEY_ID", self.about("access_key_id"))
                .env("AWS_SECRET_ACCESS_KEY", self.about("secret_access_key"))
                .status();
            assert!(status.unwrap().success(), "{command}");
        }

        /// Runs commands in bash, with the AWS CLI against all of the stack.
        fn bash(&self, commands: &str) {
            let programs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python/bin");
            let path = std::env::var("PATH").unwrap();
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c"])
                // Version 1 of the command line does not take the endpoint of SQS from its environment.
                .arg(format!(
                    "aws() {{ command aws --endpoint-url {} \"$@\"; }}\n{commands}",
                    self.about("endpoint_url")
                ))
                .env("PATH", format!("{}:{path}", programs.canonicalize().unwrap().display()))
                .env("AWS_REGION", self.about("region"))
                .env("AWS_DEFAULT_REGION", self.about("region"))
                .env("AWS_ACCESS_KEY_ID", self.about("access_key_id"))
                .env("AWS_SECRET_ACCESS_KEY", self.about("secret_access_key"))
                .env("AWS_PAGER", "")
                .env_remove("THAW_STACK")
                .output()
                .unwrap();
            assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
        }

        /// What doctor finds, and its exit code.
        fn doctor(&self, args: &[&str]) -> (i32, Vec<Value>) {
            let (code, stdout, stderr) = self.thaw(&[&["doctor", "--output", "json"], args].concat());
            assert_eq!(stderr, "");
            (code, serde_json::from_str(&stdout).unwrap())
        }

        /// What a viewer gets.
        fn view(&self, key: &str) -> u16 {
            self.seen(key).status().as_u16()
        }

        fn seen(&self, key: &str) -> ureq::http::Response<ureq::Body> {
            let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().http_status_as_error(false).build());
            let url = format!("{}/{key}", self.about("edge_url"));
            agent.get(&url).header("host", self.about("edge_host")).call().unwrap()
        }

        fn uri(&self, key: &str) -> String {
            format!("s3://{}/{key}", self.about("archive_bucket"))
        }

        fn thaw(&self, args: &[&str]) -> (i32, String, String) {
            seen(&thaw(&[args, &[&format!("--local={}", self.file)]].concat()).output().unwrap())
        }
    }

    #[test]
    fn an_object_is_planned_restored_and_seen() {
        let stack = Stack::running();
        stack.put("command/cat.jpg");
        let uri = stack.uri("command/cat.jpg");
        assert_eq!(stack.view("command/cat.jpg"), 403);

        let (code, stdout, stderr) = stack.thaw(&["plan", &uri]);
        assert_eq!(code, 0, "{stderr}");
        assert!(stdout.contains("1 to restore") && stdout.contains("total"), "{stdout}");

        let (code, stdout, stderr) = stack.thaw(&["restore", &uri, "--yes", "--wait=10m", "--output", "json"]);
        assert_eq!(code, 0, "{stderr}");
        let restore: Value = serde_json::from_str(&stdout).unwrap();
        let id = restore["id"].as_str().unwrap();
        assert_eq!((&restore["status"], stack.view("command/cat.jpg")), (&Value::from("succeeded"), 200));

        let (code, stdout, _) = stack.thaw(&["status", id]);
        assert_eq!((code, stdout.contains("Of 1 object: 1 published.")), (0, true), "{stdout}");
        let (code, stdout, _) = stack.thaw(&["objects", id]);
        assert_eq!((code, stdout.contains("command/cat.jpg")), (0, true), "{stdout}");
        let (code, stdout, _) = stack.thaw(&["ls", "--limit", "1000", "--output", "csv"]);
        assert_eq!((code, stdout.contains(id)), (0, true), "{stdout}");
        let (code, _, stderr) = stack.thaw(&["cancel", id]);
        assert_eq!(code, 1, "{stderr}");

        let (code, stdout, stderr) = stack.thaw(&["extend", id, "--days", "30", "--yes"]);
        assert_eq!(code, 3, "{stderr}");
        let (code, stdout, stderr) = stack.thaw(&["wait", stdout.trim()]);
        assert_eq!((code, stdout.contains("1 published")), (0, true), "{stdout}{stderr}");
        let (code, _, stderr) = stack.thaw(&["expedite", id, "--yes"]);
        assert_eq!(code, 1, "{stderr}");
    }

    /// The verdict of a check of something.
    fn verdict<'a>(findings: &'a [Value], name: &str, check: &str) -> &'a str {
        let found = findings.iter().find(|finding| finding["name"] == name && finding["check"] == check);
        let found = found.unwrap_or_else(|| panic!("{check} of {name} was not checked: {findings:#?}"));
        found["verdict"].as_str().unwrap()
    }

    #[test]
    fn doctor_finds_no_problem_in_the_stack_and_reads_all_of_it() {
        let stack = Stack::running();
        let (code, findings) = stack.doctor(&[]);
        assert_eq!(code, 0, "{findings:#?}");
        // Tests beside this one invalidate more than doctor counts.
        let unread =
            findings.iter().filter(|finding| finding["verdict"] == "not_known" && finding["check"] != "free paths");
        assert_eq!(unread.count(), 0, "{findings:#?}");
        let (archive, distribution) = (stack.about("archive_bucket"), stack.about("distribution_id"));
        let gallery = |field: &str| stack.about["gallery"][field].as_str().unwrap();
        for (name, check, expected) in [
            ("thaw", "status", "ok"),
            ("thaw", "alarms", "ok"),
            ("thaw", "limits", "note"),
            (archive, "events", "ok"),
            (archive, "lifecycle", "ok"),
            (archive, "distributions", "ok"),
            (distribution, "error caching", "note"),
            (distribution, "functions", "ok"),
            (distribution, "origin access", "ok"),
            (distribution, "missing keys", "ok"),
            (stack.about("media_distribution_id"), "query strings", "warning"),
            (gallery("distribution_id"), "query strings", "ok"),
            (gallery("query_distribution_id"), "query strings", "warning"),
            (gallery("staging_distribution_id"), "staging", "note"),
            (gallery("staging_distribution_id"), "origin access", "ok"),
        ] {
            assert_eq!(verdict(&findings, name, check), expected, "{check} of {name}");
        }
        let (_, table, _) = stack.thaw(&["doctor"]);
        assert!(table.starts_with("VERDICT ") && table.contains("0 problems, "), "{table}");
    }

    #[test]
    fn doctor_finds_what_is_broken_in_a_bucket() {
        let stack = Stack::running();
        let namespace = "http://s3.amazonaws.com/doc/2006-03-01/";
        stack.put_s3(None, "doctor-broken", "");
        stack.put_s3(
            None,
            "doctor-broken?notification",
            &format!("<NotificationConfiguration xmlns=\"{namespace}\"/>"),
        );
        let rule = "<Rule><ID>clean</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><Expiration><Days>2</Days></Expiration></Rule>";
        let rules = format!("<LifecycleConfiguration xmlns=\"{namespace}\">{rule}</LifecycleConfiguration>");
        stack.put_s3(None, "doctor-broken?lifecycle", &rules);
        let (code, findings) = stack.doctor(&["--bucket", "doctor-broken"]);
        assert_eq!(code, 1, "{findings:#?}");
        for (check, expected) in [("events", "warning"), ("lifecycle", "problem"), ("distributions", "problem")] {
            assert_eq!(verdict(&findings, "doctor-broken", check), expected, "{check}");
        }
        let mend = findings.iter().find(|finding| finding["check"] == "events").unwrap()["mend"].as_str().unwrap();
        stack.run(mend);
        let (code, findings) = stack.doctor(&["--bucket", "doctor-broken", "--days", "1"]);
        let verdicts = ["events", "lifecycle"].map(|check| verdict(&findings, "doctor-broken", check));
        assert_eq!((code, verdicts), (1, ["ok", "note"]));
    }

    #[test]
    fn what_doctor_says_of_query_strings_is_what_a_plan_counts() {
        let stack = Stack::running();
        let (_, findings) = stack.doctor(&[]);
        for (bucket, distribution, key) in [
            ("archive_bucket", "distribution_id", "command/doctor.jpg"),
            ("media_bucket", "media_distribution_id", "public/command/doctor.jpg"),
        ] {
            let bucket = stack.about(bucket);
            stack.put_s3(Some("GLACIER"), &format!("{bucket}/{key}"), "a cat");
            let (code, stdout, stderr) = stack.thaw(&["plan", &format!("s3://{bucket}/{key}"), "--output", "json"]);
            assert_eq!(code, 0, "{stderr}");
            let plan: Value = serde_json::from_str(&stdout).unwrap();
            let is_warned = verdict(&findings, stack.about(distribution), "query strings") == "warning";
            // The path, and the wildcard for its query strings.
            assert_eq!(plan["paths"], if is_warned { 2 } else { 1 }, "{bucket}: {plan}");
        }
    }

    #[test]
    fn an_object_that_was_overwritten_is_explained_invalidated_and_seen() {
        let stack = Stack::running();
        let (key, uri) = ("command/it's new.txt", stack.uri("command/it's new.txt"));
        let path = "command/it's%20new.txt";
        let body = || stack.seen(path).body_mut().read_to_string().unwrap();
        stack.put_into("STANDARD", path, "old");
        assert_eq!(body(), "old");
        stack.put_into("STANDARD", path, "new");
        assert_eq!(body(), "old", "it is in the cache");

        let (code, stdout, stderr) = stack.thaw(&["paths", &uri]);
        assert_eq!(code, 0, "{stderr}");
        let domain = stack.about("edge_host");
        let curl = format!(r"curl -I -H 'host: {domain}' '{}/command/it'\''s%20new.txt'", stack.about("edge_url"));
        assert!(stdout.contains(&format!("{}, {domain}\n", stack.about("distribution_id"))), "{stdout}");
        assert!(stdout.contains(&curl) && stdout.contains("It can be invalidated: 2 paths for $0.01"), "{stdout}");
        let (_, stdout, _) = stack.thaw(&["paths", &uri, "--output", "ndjson"]);
        let object: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!((&object["key"], &object["invalidation"]["possible"]), (&key.into(), &true.into()));

        let again = ["invalidate", &uri, "--yes", "--wait=10m", "--idempotency-key", "command-new"];
        let (code, stdout, stderr) = stack.thaw(&again);
        assert_eq!((code, stdout.contains("1 published")), (0, true), "{stdout}{stderr}");
        assert_eq!(body(), "new");
        let id = |stdout: &str| stdout.lines().next().unwrap().to_owned();
        let (code, second, stderr) = stack.thaw(&again);
        assert_eq!((code, id(&second)), (0, id(&stdout)), "{stderr}");

        stack.put("command/cold.txt");
        let cold = stack.uri("command/cold.txt");
        let (code, _, stderr) = stack.thaw(&["invalidate", &uri, &cold, "--yes", "--wait=10m"]);
        assert_eq!(code, 4, "{stderr}");
        let (code, stdout, _) = stack.thaw(&["paths", &cold]);
        assert!(code == 0 && stdout.contains("It is not invalidated (NotReadable): it is archived"), "{stdout}");
        let (code, stdout, stderr) = stack.thaw(&["open"]);
        assert_eq!((code, stdout.contains(stack.about("api_url"))), (0, true), "{stderr}");
    }

    /// The commands in the code blocks of a document, with their arguments, but those that serve pages.
    fn commands(document: &'static str) -> Vec<Vec<&'static str>> {
        let blocks = document.split("```").skip(1).step_by(2);
        // A block that also shows what a command prints has a prompt before the command.
        let lines = blocks.flat_map(|block| {
            let prompt = if block.contains("\n$ ") { "$ thaw " } else { "thaw " };
            block.lines().filter_map(move |line| line.strip_prefix(prompt))
        });
        // Up to a comment, or to where the output goes.
        let command =
            |line: &'static str| line.split(['#', '>']).next().unwrap_or_default().split_whitespace().collect();
        lines.map(command).filter(|args: &Vec<&str>| args[0] != "console").collect()
    }

    #[test]
    fn the_commands_of_the_documents_do_what_they_say() {
        let stack = Stack::running();
        for key in ["photos/2019/cat.jpg", "films/1998/wedding.mp4"] {
            stack.put(key);
        }
        let mut commands = commands(include_str!("../../../README.md"));
        assert_eq!(commands.len(), 2, "{commands:?}");
        commands.extend(self::commands(include_str!("../../../docs/command.md")));
        assert_eq!(commands.len(), 5, "{commands:?}");
        for args in commands {
            let ours = |arg: &&str| arg.replace("my-archive", stack.about("archive_bucket"));
            let mut given: Vec<String> = args.iter().filter(|arg| **arg != "--local").map(ours).collect();
            if args[0] == "restore" && !args.contains(&"--yes") {
                given.push("--yes".to_owned());
            }
            let given: Vec<&str> = given.iter().map(String::as_str).collect();
            let (code, stdout, stderr) = stack.thaw(&given);
            assert_eq!(code, 0, "{given:?}: {stderr}");
            let expected = match args[0] {
                "plan" => "1 in Glacier Flexible Retrieval",
                "restore" => "1 published.",
                "completions" => "_thaw()",
                other => panic!("{other} is not known to this test"),
            };
            assert!(stdout.contains(expected), "{given:?}: {stdout}");
        }
    }

    /// Alarms lead to them.
    #[test]
    fn the_commands_of_the_runbooks_run() {
        const GUIDE: &str = include_str!("../../../infra/README.md");
        let stack = Stack::running();
        let out = GUIDE.lines().find(|line| line.starts_with("out() {")).expect("the guide defines `out`");
        let thaw = format!("thaw() {{ '{}' \"$@\" --local='{}'; }}", env!("CARGO_BIN_EXE_thaw"), stack.file);
        let runbooks = GUIDE.split("```sh runbook\n").skip(1).filter_map(|rest| rest.split("```").next());
        let runbooks: Vec<&str> = runbooks.collect();
        assert_eq!(runbooks.len(), 5);
        for commands in runbooks {
            stack.bash(&format!("STACK=thaw\n{out}\n{thaw}\n{commands}"));
        }
    }

    #[test]
    fn the_exit_code_tells_a_missing_object_from_a_price() {
        let stack = Stack::running();
        stack.put("command/dog.jpg");
        let (dog, missing) = (stack.uri("command/dog.jpg"), stack.uri("command/missing.jpg"));
        let (code, _, stderr) = stack.thaw(&["restore", &dog, "--yes", "--max-cost", "0.000001"]);
        assert_eq!(code, 5, "{stderr}");
        let (code, stdout, stderr) = stack.thaw(&["restore", &dog, &missing, "--yes", "--wait=10m"]);
        assert_eq!(code, 4, "{stderr}");
        assert!(stdout.contains("command/missing.jpg"), "{stdout}");
    }

    #[test]
    fn a_restore_is_planned_started_and_followed_in_the_console() {
        let stack = Stack::running();
        stack.put("console/cat.jpg");
        let console = Console::start(thaw(&["console", &format!("--local={}", stack.file)]));
        let browser = console.opened();
        let uri = stack.uri("console/cat.jpg");
        let request =
            [("objects", uri.as_str()), ("which", "keys"), ("tier", "Standard"), ("days", "3"), ("publish", "each")];
        let plan = browser.post("/plan", &request);
        assert!(plan.text.contains("Restore 1 object for"), "{}", plan.text);
        let agreed = [("confirm", plan.field("confirm")), ("idempotency_key", plan.field("idempotency_key"))];
        let started = browser.post("/restores", &[&request[..], &agreed].concat());
        let address = started.header("location").unwrap().to_owned();
        let begun = std::time::Instant::now();
        let ended = loop {
            let page = browser.get(&address);
            if page.text.contains("Ended") {
                break page;
            }
            assert!(begun.elapsed().as_secs() < 120, "{}", page.text);
            // The page is asked for again when its answer says so, as the script does.
            let next = page.header("x-thaw-next").unwrap().parse().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(next));
        };
        assert!(
            ended.text.contains("Of 1 object: 1 published.") && ended.text.contains("They expire"),
            "{}",
            ended.text
        );
        assert_eq!(stack.view("console/cat.jpg"), 200);
        let list = browser.get("/");
        assert!(list.text.contains("Its clock runs 3,600 times as fast: it shows "), "{}", list.text);
        assert!(list.text.contains(&format!("href=\"{address}\"")), "{}", list.text);
        let objects = browser.get(&format!("{address}/objects?state=published"));
        assert!(objects.text.contains("console/cat.jpg"), "{}", objects.text);
    }
}
