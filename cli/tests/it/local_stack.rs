//! The commands on a running local stack, as the README shows them.

/// Named as the other tests that need the simulator's S3.
mod sim {
    use std::path::PathBuf;

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
            let url = format!("{}/{}/{key}", self.about("s3_endpoint_url"), self.about("archive_bucket"));
            // The simulator checks no signature, but the signature says for which service a request is.
            let signature =
                "AWS4-HMAC-SHA256 Credential=test/20261129/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
            let request = ureq::put(&url).header("x-amz-storage-class", class).header("authorization", signature);
            let answer = request.send(content).unwrap();
            assert_eq!(answer.status(), 200);
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
