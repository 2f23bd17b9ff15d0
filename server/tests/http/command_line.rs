//! The binary as operators run it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn agentframer(data: &Path, args: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentframer"));
    let mut child = command
        .args(args)
        .current_dir(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that ends before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn bootstrap(data: &Path, change: &[&str]) -> Output {
    let mut args =
        vec!["bootstrap", "--email", "ada@example.com", "--password-stdin", "--workspace", "Growth"];
    args.extend(["--region", "eu-west-1", "--top-up", "100", "--agent", "growth-bot"]);
    for pair in change.chunks(2) {
        let place = args.iter().position(|arg| *arg == pair[0]).unwrap();
        args[place + 1] = pair[1];
    }
    agentframer(data, &args, "a long enough passphrase\n")
}

#[test]
fn bootstrap_prints_one_object_and_can_be_repeated() {
    let data = tempfile::tempdir().unwrap();
    let first = bootstrap(data.path(), &[]);
    assert_eq!(code(&first), 0, "{}", errors(&first));
    let first: Value = serde_json::from_slice(&first.stdout).unwrap();
    for field in ["user_id", "workspace_id", "region", "mcp_url", "agent_id", "agent_token", "api_key"] {
        assert!(first[field].is_string(), "{field}");
    }
    let second: Value = serde_json::from_slice(&bootstrap(data.path(), &[]).stdout).unwrap();
    assert_eq!(first["workspace_id"], second["workspace_id"]);
    let check = agentframer(data.path(), &["check"], "");
    assert_eq!(code(&check), 0, "{}", errors(&check));
    assert_eq!(code(&agentframer(data.path(), &["migrate"], "")), 0);
}

#[test]
fn bootstrap_names_the_wrong_option() {
    let data = tempfile::tempdir().unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["--email", "nobody"], "--email"),
        (&["--region", "mars-1"], "--region"),
        (&["--agent", "No Spaces"], "--agent"),
        (&["--workspace", " "], "--workspace"),
    ];
    for (change, option) in cases {
        let output = bootstrap(data.path(), change);
        assert_eq!(code(&output), 2, "{option}: {}", errors(&output));
        assert!(errors(&output).contains(option), "{option}: {}", errors(&output));
    }
}

#[test]
fn an_unknown_setting_is_named() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("agentframer.toml"), "lisen = \"127.0.0.1:3000\"\n").unwrap();
    let output = agentframer(data.path(), &["config", "check"], "");
    assert_eq!(code(&output), 2);
    assert!(errors(&output).contains("lisen"), "{}", errors(&output));
    std::fs::write(data.path().join("agentframer.toml"), "listen = \"127.0.0.1:3001\"\n").unwrap();
    assert_eq!(code(&agentframer(data.path(), &["config", "check"], "")), 0);
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(code(&agentframer(data.path(), &["fly"], "")), 2);
    for args in
        [&["--help"][..], &["serve", "--help"], &["audit", "verify", "--help"], &["bootstrap", "--help"]]
    {
        assert_eq!(code(&agentframer(data.path(), args, "")), 0, "{args:?}");
    }
}

#[test]
fn openapi_is_printed() {
    let data = tempfile::tempdir().unwrap();
    let output = agentframer(data.path(), &["openapi"], "");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document["paths"]["/api/v1/workspaces/{ws}/credits"]["get"].is_object());
}

/// Three linked rows of a log, as an export writes them.
fn rows() -> Vec<Value> {
    use agentframer::domain::audit::{Entry, GENESIS, link};
    let mut head = GENESIS.to_owned();
    (0..3)
        .map(|seq| {
            let entry: Entry = serde_json::from_value(json!({
                "ts": "2026-04-29T14:22:08.413Z", "request_id": "req_01HW8K2N4Q", "workspace_id": "ws_4kP9x2",
                "user_id": "agent.growth-bot", "tool": "generate_image", "model": "flux-pro-1.1", "prompt_hash": null,
                "cost_usd": 0.042, "result_url": null, "region": "eu-west-1", "retention_days": 30
            }))
            .unwrap();
            let linked = link(seq, &head, entry);
            head.clone_from(&linked.hash);
            serde_json::to_value(linked).unwrap()
        })
        .collect()
}

fn verify(rows: &[Value]) -> Output {
    let data = tempfile::tempdir().unwrap();
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(data.path().join("log"), lines.join("\n")).unwrap();
    agentframer(data.path(), &["audit", "verify", "log"], "")
}

#[test]
fn a_whole_log_verifies_in_both_forms() {
    let output = verify(&rows());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let array = agentframer(&std::env::temp_dir(), &["audit", "verify", "-"], &json!(rows()).to_string());
    assert_eq!(code(&array), 0, "{}", errors(&array));
}

#[test]
fn a_broken_log_names_the_first_bad_row() {
    let mut changed = rows();
    changed[1]["cost_usd"] = 0.01.into();
    let output = verify(&changed);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("row 2"), "{}", errors(&output));
    let mut missing = rows();
    missing.remove(1);
    let output = verify(&missing);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("row 3"), "{}", errors(&output));
}

#[test]
fn what_is_no_log_is_unreadable() {
    assert_eq!(code(&verify(&[json!({ "a": 1 })])), 2);
    assert_eq!(code(&verify(&[])), 2);
    let output = agentframer(&std::env::temp_dir(), &["audit", "verify", "/no/such/file"], "");
    assert_eq!(code(&output), 2);
}
