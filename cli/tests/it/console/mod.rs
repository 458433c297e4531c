//! `thaw console` as a browser and an attacker see it: its requests, over HTTP.

#[cfg(feature = "browser")]
mod browser;
pub mod client;
mod world;

use serde_json::json;

use crate::api::{Api, LocalStack, seen};
use client::{Answer, Console, ask};
use world::{HOSTILE_ID, LARGE, RUNNING, STARTED};

const CAT: [(&str, &str); 5] = [
    ("objects", "s3://my-archive/cat.jpg"),
    ("which", "keys"),
    ("tier", "Standard"),
    ("days", "3"),
    ("publish", "each"),
];

#[test]
fn the_printed_address_opens_the_console_once() {
    let api = world::api();
    let console = Console::of(&api, &[]);
    let browser = console.opened();
    assert_eq!(browser.get("/").status, 200);
    let again = ask("GET", &console.url, &[], None);
    assert_eq!((again.status, again.header("set-cookie")), (403, None));
    assert!(again.text.contains("was used already"), "{}", again.text);
    let wrong = ask("GET", &format!("{}/?token=0", console.origin()), &[], None);
    assert_eq!((wrong.status, wrong.text.contains("token in this address is wrong")), (403, true));
    for path in ["/", "/new", &format!("/restores/{RUNNING}"), "/nothing"] {
        let answer = ask("GET", &format!("{}{path}", console.origin()), &[], None);
        assert_eq!((answer.status, answer.text.contains("has not opened the address")), (403, true), "{path}");
        assert!(!answer.text.contains("my-archive"), "{path}");
    }
}

#[test]
fn another_host_and_another_origin_are_refused_with_the_right_cookie() {
    let api = world::api();
    let console = Console::of(&api, &["--allow-changes"]);
    let browser = console.opened();
    let calls = api.calls().len();
    let port = console.origin().rsplit_once(':').unwrap().1;
    for path in ["/", "/style.css", "/console.js"] {
        for host in ["evil.example", &format!("localhost:{port}"), "127.0.0.1"] {
            let headers = [("cookie", browser.cookie.as_str()), ("host", host)];
            let answer = ask("GET", &format!("{}{path}", console.origin()), &headers, None);
            assert_eq!(answer.status, 421, "{host} {path}");
        }
        let headers = [("cookie", browser.cookie.as_str()), ("origin", "http://evil.example")];
        assert_eq!(ask("GET", &format!("{}{path}", console.origin()), &headers, None).status, 403);
    }
    for origin in
        [&[][..], &[("origin", "http://evil.example")], &[("origin", "null")], &[("origin", "http://127.0.0.1:1")]]
    {
        let headers = [&[("cookie", browser.cookie.as_str())][..], origin].concat();
        for path in ["/plan".to_owned(), "/restores".to_owned(), format!("/restores/{RUNNING}/cancel")] {
            let answer = ask("POST", &format!("{}{path}", console.origin()), &headers, Some(&CAT));
            assert_eq!((answer.status, answer.text.contains("nothing was done")), (403, true), "{origin:?} {path}");
        }
    }
    for fetch_site in ["same-site", "cross-site"] {
        let headers = [("cookie", browser.cookie.as_str()), ("sec-fetch-site", fetch_site)];
        let address = format!("{}/restores/{HOSTILE_ID}/retry", console.origin());
        assert_eq!(ask("GET", &address, &headers, None).status, 403, "{fetch_site}");
    }
    assert_eq!(api.calls().len(), calls, "the API is not called for them");
}

#[test]
fn every_answer_forbids_what_the_console_does_not_need() {
    let api = world::api();
    let console = Console::of(&api, &[]);
    let browser = console.opened();
    for answer in [
        browser.get("/"),
        browser.get("/nothing"),
        browser.get("/style.css"),
        browser.get("/console.js"),
        browser.post("/restores", &CAT),
        ask("GET", console.origin(), &[], None),
    ] {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn nothing_of_the_api_is_markup() {
    let api = world::api();
    let console = Console::of(&api, &[]);
    let browser = console.opened();
    let restore = format!("/restores/{HOSTILE_ID}");
    for path in ["/", &restore, &format!("{restore}/objects"), &format!("{restore}/objects?state=%3Cscript%3E")] {
        let answer = browser.get(path);
        let rest = answer.text.replace("<script src=\"/console.js\" defer></script>", "");
        assert!(answer.text.contains("&lt;script&gt;"), "{path} shows the hostile text: {}", answer.text);
        assert!(!rest.contains("<script") && !rest.contains("<img") && !rest.contains('\u{1b}'), "{path}: {rest}");
        assert!(!rest.contains(" style=") && !rest.contains(" onerror=\""), "{path}: {rest}");
    }
    let answer = browser.post("/plan", &CAT);
    assert!(answer.text.contains("&lt;script&gt;") && answer.text.matches("<script").count() == 1, "{}", answer.text);
}

#[test]
fn a_restore_is_started_as_it_was_shown_and_a_second_click_starts_nothing_new() {
    let api = world::api();
    let console = Console::of(&api, &["--allow-changes"]);
    let browser = console.opened();
    let plan = browser.post("/plan", &CAT);
    assert!(plan.text.contains("Restore 1 object for") && plan.text.contains("$0.02"), "{}", plan.text);
    let key = plan.field("idempotency_key").to_owned();
    let question = [&CAT[..], &[("confirm", plan.field("confirm")), ("idempotency_key", &key)]].concat();
    for _ in 0..2 {
        let answer = browser.post("/restores", &question);
        assert_eq!((answer.status, answer.header("location")), (303, Some(format!("/restores/{STARTED}").as_str())));
    }
    let starts: Vec<_> = api.calls().into_iter().filter(|call| call.line() == "POST /v1/restores").collect();
    assert_eq!(starts.len(), 2);
    for start in starts {
        assert_eq!(start.header("idempotency-key"), Some(key.as_str()));
        let body = json!({ "bucket": "my-archive", "keys": ["cat.jpg"], "tier": "Standard", "days": 3, "publish": { "when": "each" }, "confirm": "h1" });
        assert_eq!(start.body, body);
    }
}

#[test]
fn what_costs_too_much_or_has_changed_is_not_started() {
    let api = world::api();
    let console = Console::of(&api, &["--allow-changes"]);
    let browser = console.opened();
    let dear = browser.post("/plan", &[&CAT[..], &[("max_cost", "0.01")]].concat());
    assert!(dear.text.contains("Refused: it costs $0.02, more than your limit of $0.01"), "{}", dear.text);
    assert!(!dear.text.contains("Yes, start it"), "{}", dear.text);
    let changed = [("objects", "s3://my-archive/changed.jpg"), ("confirm", "h1"), ("idempotency_key", "k")];
    let answer = browser.post("/restores", &[&CAT[1..], &changed].concat());
    assert_eq!(answer.status, 422);
    assert!(
        answer.text.contains("Nothing was started") && answer.text.contains("The plan is another one now."),
        "{}",
        answer.text
    );
    let missing = browser.post("/plan", &[&CAT[1..], &[("objects", "s3://my-archive/missing.jpg")]].concat());
    assert!(
        missing.text.contains("keys[0] names no object")
            && missing.text.contains("s3://my-archive/missing.jpg</textarea>"),
        "{}",
        missing.text
    );
    for (field, value, words) in
        [("days", "soon", "Days is &quot;soon&quot;"), ("max_cost", "much", "may cost is &quot;much&quot;")]
    {
        let answer = browser.post("/plan", &[&CAT[..3], &[("publish", "each"), (field, value)]].concat());
        assert_eq!((answer.status, answer.text.contains(words)), (422, true), "{}", answer.text);
    }
}

#[test]
fn a_read_only_console_plans_and_changes_nothing() {
    let api = world::api();
    for args in [&[][..], &["--read-only"]] {
        let console = Console::of(&api, args);
        let browser = console.opened();
        let plan = browser.post("/plan", &CAT);
        assert!(plan.text.contains("$0.02") && !plan.text.contains("Yes, start it"), "{}", plan.text);
        let detail = browser.get(&format!("/restores/{HOSTILE_ID}"));
        assert!(
            !detail.text.contains("<button class=\"danger\"") && !detail.text.contains("id=\"retry\""),
            "{}",
            detail.text
        );
        let question = [&CAT[..], &[("confirm", "h1"), ("idempotency_key", "k")]].concat();
        let follow_up = [("price", "1"), ("idempotency_key", "k")];
        for (path, fields) in [
            ("/restores".to_owned(), &question[..]),
            (format!("/restores/{RUNNING}/cancel"), &[]),
            (format!("/restores/{HOSTILE_ID}/retry"), &follow_up),
        ] {
            let answer = browser.post(&path, fields);
            assert_eq!(
                (answer.status, answer.text.contains("This console is read-only, so nothing was done.")),
                (403, true),
                "{path}"
            );
        }
    }
    let changes: Vec<_> =
        api.calls().into_iter().filter(|call| call.method != "GET" && call.path != "/v1/plans").collect();
    assert_eq!(changes, []);
}

#[test]
fn a_local_stack_allows_changes_and_its_clock_is_named() {
    let api = world::api();
    let stack = LocalStack::of(api.url(), "console");
    let console = Console::start(api.command(&["console", &stack.option()]));
    let page = console.opened().get("/");
    assert!(page.text.contains("Its clock runs 3,600 times as fast: it shows "), "{}", page.text);
    assert!(page.text.contains("changes allowed"), "{}", page.text);
}

#[test]
fn failed_objects_are_asked_for_again_for_no_more_than_the_price_that_was_shown() {
    let api = world::api();
    let console = Console::of(&api, &["--allow-changes"]);
    let browser = console.opened();
    let plan = browser.get(&format!("/restores/{HOSTILE_ID}/retry"));
    assert!(plan.text.contains("Ask again for 1 object for"), "{}", plan.text);
    let fields = [("price", plan.field("price")), ("idempotency_key", plan.field("idempotency_key"))];
    let answer = browser.post(&format!("/restores/{HOSTILE_ID}/retry"), &fields);
    assert_eq!((answer.status, answer.header("location")), (303, Some(format!("/restores/{STARTED}").as_str())));
    let calls = api.calls();
    let retry = calls.iter().find(|call| call.line() == format!("POST /v1/restores/{HOSTILE_ID}/retry")).unwrap();
    assert_eq!(retry.body, json!({ "max_cost_usd": 0.0215 }));
    let cancelled = browser.post(&format!("/restores/{RUNNING}/cancel"), &[]);
    assert_eq!(cancelled.status, 303);
    assert!(api.calls().iter().any(|call| call.line() == format!("DELETE /v1/restores/{RUNNING}")));
}

#[test]
fn an_execution_is_found_when_somebody_wants_to_see_it() {
    let api = world::api();
    let console = Console::of(&api, &["--endpoint-url", api.url()]);
    let browser = console.opened();
    let address = format!("/restores/{RUNNING}/execution");
    let page = browser.get(&format!("/restores/{RUNNING}"));
    assert!(page.text.contains(&format!("href=\"{address}\"")), "{}", page.text);
    let answer = browser.get(&address);
    let execution = format!("arn:aws:states:us-east-1:111122223333:execution:thaw:{RUNNING}");
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert!(answer.header("location").unwrap().ends_with(&execution), "{:?}", answer.header("location"));
    let asked = api.calls().iter().filter(|call| call.line() == "POST /").count();
    assert_eq!(asked, 1, "and not before");
}

#[test]
fn many_tabs_ask_the_api_once() {
    let api = world::api();
    let console = Console::of(&api, &[]);
    let browser = console.opened();
    let begun = std::time::Instant::now();
    let pages: Vec<Answer> = (0..20).map(|_| browser.get(&format!("/restores/{LARGE}"))).collect();
    let seconds = begun.elapsed().as_secs() as usize;
    let asked = api.calls().iter().filter(|call| call.line() == format!("GET /v1/restores/{LARGE}")).count();
    assert!(asked <= 1 + seconds, "asked {asked} times in {seconds} s, and the API says: once a second");
    let objects = api.calls().iter().filter(|call| call.path.contains("/objects")).count();
    assert_eq!(objects, 1, "objects are asked for again only if the counts have changed");
    let next: u64 = pages[0].header("x-thaw-next").unwrap().parse().unwrap();
    assert!(next <= 1_000, "{next} ms");
    assert_eq!(browser.get("/restores/ended-0001").header("x-thaw-next"), Some("never"));
    let etag = pages[0].header("etag").unwrap();
    let known = |etag: &str| {
        let headers = [("cookie", browser.cookie.as_str()), ("if-none-match", etag)];
        ask("GET", &format!("{}/new", console.origin()), &headers, None).status
    };
    assert_eq!((known(etag), known(browser.get("/new").header("etag").unwrap())), (200, 304));
}

#[test]
fn lists_come_in_pages() {
    let api = world::api();
    let console = Console::of(&api, &[]);
    let browser = console.opened();
    let first = browser.get("/");
    assert_eq!((first.text.matches("data-row").count(), first.text.contains("cursor=50\"")), (50, true));
    let second = browser.get("/?cursor=50");
    assert!(second.text.contains("ended-0047") && second.text.contains("Newest"), "{}", second.text);
    let failed = browser.get("/?status=failed");
    assert_eq!((failed.text.matches("data-row").count(), failed.text.contains("$12.40")), (40, true));
    let objects = browser.get(&format!("/restores/{LARGE}/objects"));
    assert!(objects.text.contains("photos/2019/00099.jpg") && !objects.text.contains("00100.jpg"), "{}", objects.text);
    let missing = browser.get("/restores/none");
    assert_eq!((missing.status, missing.text.contains("There is no restore none.")), (404, true));
    let wrong = browser.get(&format!("/restores/{LARGE}/objects?state=lost"));
    assert_eq!((wrong.status, wrong.text.contains("No object is &quot;lost&quot;")), (400, true), "{}", wrong.text);
}

#[test]
fn an_api_that_does_not_answer_is_said_on_the_page() {
    let api = Api::answering(|_| (0, String::new()));
    let console = Console::of(&api, &[]);
    let browser = console.opened();
    for path in ["/".to_owned(), format!("/restores/{RUNNING}")] {
        let answer = browser.get(&path);
        assert!(
            answer.text.contains("does not answer") && answer.text.contains("Check the network"),
            "{}",
            answer.text
        );
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let api = world::api();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, stdout, stderr) = seen(&api.run(&["console", "--port", &port]));
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(
        stderr.contains(&format!("127.0.0.1:{port} cannot be used")) && stderr.contains("Name another --port."),
        "{stderr}"
    );
}

/// Linux tells what a process holds.
#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_hours_that_a_tab_is_open() {
    let api = world::api();
    let console = Console::of(&api, &[]);
    let browser = console.opened();
    let kibibytes = || -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", console.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let look = |times: usize| {
        for number in 0..times {
            browser.get(&format!("/restores/{LARGE}"));
            browser.get(&format!("/restores/{LARGE}/objects?cursor=0.{}", number % 90 * 100));
        }
    };
    look(50);
    let before = kibibytes();
    look(150);
    let after = kibibytes();
    println!("{before} KiB after 100 pages, {after} KiB after 400");
    // What is kept fills up. If each page left something behind, it would be a hundred kilobytes, 300 times.
    assert!(after < before + 10_240, "{before} KiB became {after} KiB");
}
