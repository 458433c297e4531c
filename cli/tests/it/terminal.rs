//! The command on a terminal: it asks, and shows what a restore is doing. A pipe gets neither (`commands.rs`).

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;

use nix::pty::openpty;
use serde_json::{Value, json};

use crate::api::{Api, links};

const ID: &str = "2026-11-29_archive_cat-jpg_standard_0123456789ab";

fn plan() -> Value {
    json!({
        "bucket": "archive", "tier": "Standard", "days": 3, "by_kind": [], "over_max_cost": false, "hash": "h1",
        "counts": { "total": 1, "planned": 1, "available": 0, "restoring": 0, "restored": 0, "published": 0, "failed": 0, "cancelled": 0 },
        "cost": { "total_usd": 0.5, "region": "us-east-1", "prices_of": "2026-11-22", "lines": [] },
        "alternatives": [], "batch_operations": false, "paths": 1, "billed_paths": 1, "warnings": [], "failures": [],
    })
}

fn restore(status: &str, stage: &str) -> Value {
    json!({
        "id": ID, "status": status, "stage": stage, "bucket": "archive", "tier": "Standard", "days": 3,
        "counts": { "total": 1, "planned": 0, "available": 0, "restoring": 1, "restored": 0, "published": 0, "failed": 0, "cancelled": 0 },
        "requested_at": "2026-11-29T10:00:00Z", "ready_between": ["2026-11-29T13:00:00Z", "2026-11-29T15:00:00Z"],
        "warnings": [], "failures": [], "invalidations": [], "says": "S3 fetches objects.", "links": links(ID),
    })
}

/// Runs the command with stdin and stderr on a terminal, types the answer after the question, and returns the exit code,
/// stdout, and what the terminal showed.
fn on_a_terminal(api: &Api, args: &[&str], answer: &str, env: &[(&str, &str)]) -> (i32, String, String) {
    let terminal = openpty(None, None).unwrap();
    let slave = File::from(terminal.slave);
    let mut child = api
        .command(args)
        .envs(env.iter().copied())
        .env("TERM", "xterm")
        .stdin(Stdio::from(slave.try_clone().unwrap()))
        .stderr(Stdio::from(slave))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut master = File::from(terminal.master);
    let mut typist = master.try_clone().unwrap();
    let answer = answer.to_owned();
    let screen = thread::spawn(move || {
        let (mut shown, mut piece, mut has_answered) = (Vec::new(), [0; 4096], false);
        // A terminal that nobody holds any more answers with an error.
        while let Ok(count @ 1..) = master.read(&mut piece) {
            shown.extend_from_slice(&piece[..count]);
            if !has_answered && String::from_utf8_lossy(&shown).contains("[y/N]") {
                has_answered = true;
                typist.write_all(answer.as_bytes()).unwrap();
            }
        }
        String::from_utf8_lossy(&shown).into_owned()
    });
    let mut stdout = String::new();
    child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    let code = child.wait().unwrap().code().unwrap();
    (code, stdout, screen.join().unwrap())
}

#[test]
fn the_price_is_asked_about_and_the_wait_is_shown() {
    let answers = || {
        vec![
            (200, plan()),
            (202, restore("running", "planning")),
            (200, restore("running", "waiting")),
            (200, restore("succeeded", "ended")),
        ]
    };
    let args = ["restore", "s3://archive/cat.jpg", "--wait"];
    let api = Api::with(answers());
    let (code, stdout, screen) = on_a_terminal(&api, &args, "y\n", &[]);
    assert_eq!((code, api.calls().len()), (0, 4), "{screen}");
    assert!(screen.contains("Restore 1 object for $0.50? [y/N]"), "{screen}");
    assert!(
        screen.contains("1 object: 1 being restored; typically readable 2026-11-29 13:00 to 15:00 UTC"),
        "{screen}"
    );
    assert!(stdout.contains("succeeded") && !stdout.contains('\u{1b}'), "{stdout}");

    let api = Api::with(answers());
    let (code, stdout, screen) = on_a_terminal(&api, &[&args[..], &["--yes", "--quiet"]].concat(), "", &[]);
    assert_eq!((code, stdout.contains("succeeded"), screen.as_str()), (0, true, ""));
}

#[test]
fn whoever_does_not_say_yes_says_no() {
    for answer in ["n\n", "\n", "yesterday\n"] {
        let api = Api::with(vec![(200, plan())]);
        let (code, stdout, screen) = on_a_terminal(&api, &["restore", "s3://archive/cat.jpg"], answer, &[]);
        assert_eq!((code, api.calls().len(), stdout.as_str()), (5, 1, ""), "{screen}");
        assert!(screen.contains("Nothing was started."), "{screen}");
    }
    let api = Api::with(vec![(200, plan())]);
    let (code, _, screen) = on_a_terminal(&api, &["restore", "s3://archive/cat.jpg", "--no-input"], "", &[]);
    assert_eq!((code, screen.contains("[y/N]")), (5, false), "{screen}");
}

#[test]
fn errors_are_red_unless_somebody_minds() {
    for (args, env, is_red) in [
        (&["status", ID][..], &[][..], true),
        (&["status", ID], &[("NO_COLOR", "1")], false),
        (&["status", ID, "--color", "never"], &[], false),
        (&["status", ID, "--color", "always"], &[("NO_COLOR", "1")], true),
    ] {
        let api = Api::with(vec![(
            404,
            json!({ "type": "urn:thaw:problem:no-such-restore", "title": "", "status": 404, "detail": "There is none." }),
        )]);
        let (code, _, screen) = on_a_terminal(&api, args, "", env);
        assert_eq!((code, screen.contains("\u{1b}[31merror:")), (1, is_red), "{args:?} {env:?}: {screen}");
    }
}

#[test]
fn doctor_shows_what_it_reads_on_a_terminal_only() {
    let api = Api::answering(|_| (403, "<Error><Code>AccessDenied</Code></Error>".to_owned()));
    let args = ["doctor", "--bucket", "archive", "--endpoint-url", api.url()];
    let (code, stdout, screen) = on_a_terminal(&api, &args, "", &[]);
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("reading the stack thaw"), "{screen}");
    assert!(stdout.starts_with("VERDICT ") && !stdout.contains("reading"), "{stdout}");
    let output = api.run(&args);
    assert_eq!((output.stdout, output.stderr), (stdout.into_bytes(), Vec::new()));
}
