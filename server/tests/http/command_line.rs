//! The binary as operators run it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use agentframer::engine::data::sealing::MasterKey;
use agentframer::engine::log::signing::Signer;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

pub fn agentframer(data: &Path, args: &[&str], input: &str) -> Output {
    with_environment(data, args, input, &[])
}

fn with_environment(data: &Path, args: &[&str], input: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentframer"));
    let mut child = command
        .envs(variables.iter().copied())
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

pub fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub fn bootstrap(data: &Path, change: &[&str]) -> Output {
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
    assert_ne!(first["agent_token"], second["agent_token"], "no secret is kept, so a repeat makes new ones");
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
fn the_environment_wins_over_the_file_and_the_command_line_over_both() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("other.toml"), "listen = \"127.0.0.1:4001\"\n").unwrap();
    let said = |args: &[&str], variables: &[(&str, &str)]| {
        let all = [&["config", "check", "--config", "other.toml"], args].concat();
        let output = with_environment(data.path(), &all, "", variables);
        assert_eq!(code(&output), 0, "{}", errors(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let variable = ("AGENTFRAMER_LISTEN", "127.0.0.1:4002");
    assert!(said(&[], &[]).contains("http://127.0.0.1:4001"));
    assert!(said(&[], &[variable]).contains("http://127.0.0.1:4002"));
    assert!(said(&["--listen", "127.0.0.1:4003"], &[variable]).contains("http://127.0.0.1:4003"));
    assert!(said(&[], &[]).contains("eu-west-1") && said(&[], &[]).contains("us-east-1"), "its cells");
}

#[test]
fn a_wrong_setting_is_named_with_its_place() {
    let data = tempfile::tempdir().unwrap();
    let cases = [
        ("AGENTFRAMER_LISEN", "127.0.0.1:1", "lisen"),
        ("AGENTFRAMER_LISTEN", "nowhere", "listen"),
        ("AGENTFRAMER_LIMITS__BODY_BYTES", "many", "limits.body_bytes"),
        ("AGENTFRAMER_LIMITS__BODIES", "1", "bodies"),
        ("AGENTFRAMER_PUBLIC_URL", "frames", "public_url"),
        ("AGENTFRAMER_PROVIDERS__X__KIND", "magic", "providers.x.kind"),
        ("AGENTFRAMER_LOG", "a=b=c", "log"),
    ];
    for (name, value, setting) in cases {
        let output = with_environment(data.path(), &["config", "check"], "", &[(name, value)]);
        assert_eq!(code(&output), 2, "{name}: {}", errors(&output));
        assert!(errors(&output).contains(setting), "{name}: {}", errors(&output));
    }
    let missing = agentframer(data.path(), &["config", "check", "--config", "none.toml"], "");
    assert_eq!((code(&missing), errors(&missing).contains("none.toml")), (2, true));
}

/// What only the engine reads is no less a setting.
#[test]
fn settings_that_only_the_engine_reads_are_checked_too() {
    let data = tempfile::tempdir().unwrap();
    let storage =
        |place: &str| format!("[[cells]]\nname = \"eu\"\nregion = \"eu-west-1\"\nstorage = \"{place}\"\n");
    let cases = [
        ("[providers.bfl]\nkind = \"bfl\"\n".to_owned(), "providers.bfl"),
        ("catalog = \"none.toml\"\n".to_owned(), "none.toml"),
        (storage("ftp:media"), "ftp:media"),
        ("[mail]\nsmtp_url = \"carrier-pigeon\"\n".to_owned(), "mail.smtp_url"),
        ("[security]\nmaster_key = \"secret\"\n".to_owned(), "security.master_key"),
    ];
    for (settings, named) in cases {
        std::fs::write(data.path().join("agentframer.toml"), &settings).unwrap();
        for command in [&["config", "check"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let output = agentframer(data.path(), command, "");
            assert_eq!(code(&output), 2, "{command:?} {settings}: {}", errors(&output));
            assert!(errors(&output).contains(named), "{}", errors(&output));
        }
    }
    std::fs::write(data.path().join("agentframer.toml"), storage("file:media")).unwrap();
    assert_eq!(code(&agentframer(data.path(), &["config", "check"], "")), 0);
    assert!(
        !data.path().join("media").exists() && !data.path().join("master.key").exists(),
        "nothing is made"
    );
}

#[test]
fn wrong_keys_of_a_cell_are_named_with_their_cell() {
    let data = tempfile::tempdir().unwrap();
    let says = |command: &[&str], keys: &str| {
        let settings = format!("[[cells]]\nname = \"eu-1\"\nregion = \"eu-west-1\"\nkeys = {{ {keys} }}\n");
        std::fs::write(data.path().join("agentframer.toml"), settings).unwrap();
        let output = agentframer(data.path(), command, "");
        assert_ne!(code(&output), 0, "{keys}");
        errors(&output)
    };
    let without = says(&["config", "check"], "");
    assert!(without.contains("“eu-1” has keys without a master key"), "{without}");
    let unknown = says(&["config", "check"], "master_kay = \"1\"");
    assert!(unknown.contains("master_kay"), "{unknown}");
    let no_hex = says(&["migrate"], "master_key = \"secret\"");
    assert!(no_hex.contains("keys of the cell eu-1.master_key” is not 64 hex digits"), "{no_hex}");
    let key = format!("master_key = \"{}\", previous_master_key_file = \"gone.key\"", "1".repeat(64));
    let gone = says(&["migrate"], &key);
    assert!(gone.contains("gone.key does not exist"), "{gone}");
}

#[test]
fn what_fails_ends_with_1_and_says_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let output = agentframer(data.path(), &["serve", "--listen", &address], "");
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("--listen"), "{}", errors(&output));
    std::fs::write(data.path().join("file"), "no folder").unwrap();
    let nowhere = [("AGENTFRAMER_CONTROL__DATABASE_URL", "sqlite:file/control.db")];
    for command in ["migrate", "check"] {
        let output = with_environment(data.path(), &[command], "", &nowhere);
        assert_eq!(code(&output), 1, "{command}");
        assert!(errors(&output).contains("file/control.db"), "{command}: {}", errors(&output));
    }
}

#[test]
fn check_prints_each_fault_on_a_line() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(code(&bootstrap(data.path(), &[])), 0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        sqlx::any::install_default_drivers();
        let file = data.path().join("data/eu-west-1.db");
        let pool = sqlx::AnyPool::connect(&format!("sqlite:{}", file.display())).await.unwrap();
        sqlx::query("UPDATE accounts SET available = available + 1").execute(&pool).await.unwrap();
        pool.close().await;
    });
    let output = agentframer(data.path(), &["check"], "");
    assert_eq!(code(&output), 1);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1, "{output:?}");
}

#[test]
fn the_demo_fills_an_empty_folder_once_and_its_seed_decides() {
    let demo = |seed: &str| {
        let data = tempfile::tempdir().unwrap();
        let output = agentframer(data.path(), &["demo", "--calls", "40", "--seed", seed], "");
        assert_eq!(code(&output), 0, "{}", errors(&output));
        let check = agentframer(data.path(), &["check"], "");
        assert_eq!(code(&check), 0, "{}", errors(&check));
        let again = agentframer(data.path(), &["demo"], "");
        assert_eq!((code(&again), errors(&again).contains("--data")), (1, true), "{}", errors(&again));
        String::from_utf8(output.stdout).unwrap()
    };
    let (first, second) = (demo("1"), demo("1"));
    assert!(first.contains("Made 40 calls"), "{first}");
    assert!(first.contains("Sign in at http://127.0.0.1:3000/login as "), "{first}");
    assert!(first.contains("retry-bot ran away and was paused by the loop breaker"), "{first}");
    assert!(first.contains("Vera Stone (viewer) signs in as vera@example.com"), "{first}");
    assert_eq!(first.lines().next(), second.lines().next());
    let sign_in = |text: &str| text.lines().find(|line| line.starts_with("Sign in")).map(str::to_owned);
    assert_ne!(sign_in(&first), sign_in(&second), "a password of its own");
}

#[test]
fn wrong_usage_is_2_and_help_is_0() {
    let data = tempfile::tempdir().unwrap();
    assert_eq!(code(&agentframer(data.path(), &["fly"], "")), 2);
    let commands =
        ["", "serve", "bootstrap", "demo", "migrate", "check", "config", "config check", "openapi"];
    for command in commands.into_iter().chain(["audit", "audit verify"]) {
        let args: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = agentframer(data.path(), &args, "");
        assert_eq!((code(&output), output.stdout.is_empty()), (0, false), "{command}");
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
fn daily_exports_verify_as_they_are_and_one_behind_the_other() {
    let data = tempfile::tempdir().unwrap();
    let day = |rows: &[Value]| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        rows.iter().for_each(|row| writeln!(gzip, "{row}").unwrap());
        gzip.finish().unwrap()
    };
    let (rows, file) = (rows(), data.path().join("days.gz"));
    std::fs::write(&file, [day(&rows[..2]), day(&rows[2..])].concat()).unwrap();
    let output = agentframer(data.path(), &["audit", "verify", "days.gz"], "");
    assert_eq!(code(&output), 0, "{}", errors(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("3 rows"));
    std::fs::write(&file, day(&[rows[0].clone(), rows[2].clone()])).unwrap();
    assert_eq!(code(&agentframer(data.path(), &["audit", "verify", "days.gz"], "")), 1);
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
fn a_checkpoint_must_agree() {
    let data = tempfile::tempdir().unwrap();
    let (rows, log, point) = (rows(), data.path().join("log"), data.path().join("point"));
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(&log, lines.join("\n")).unwrap();
    let verify = |checkpoint: Value| {
        std::fs::write(&point, checkpoint.to_string()).unwrap();
        agentframer(data.path(), &["audit", "verify", "log", "--checkpoint", "point"], "")
    };
    let last = &rows[2];
    assert_eq!(code(&verify(json!({ "last_seq": last["seq"], "head_hash": last["hash"] }))), 0);
    let rewritten = verify(json!({ "last_seq": last["seq"], "head_hash": rows[1]["hash"] }));
    assert_eq!((code(&rewritten), errors(&rewritten).contains("checkpoint")), (1, true));
    let cut = verify(json!({ "last_seq": 99, "head_hash": last["hash"] }));
    assert_eq!((code(&cut), errors(&cut).contains("99")), (1, true), "{}", errors(&cut));
    assert_eq!(code(&verify(json!({ "a": 1 }))), 2);
    let forged =
        verify(json!({ "last_seq": 3, "head_hash": last["hash"], "signature": { "alg": "Ed25519" } }));
    assert_eq!((code(&forged), errors(&forged).contains("not believed")), (1, true));
}

#[test]
fn a_checkpoint_says_who_signed_it_and_a_strangers_is_refused_where_keys_are_named() {
    let data = tempfile::tempdir().unwrap();
    let rows = rows();
    let write = |name: &str, text: String| std::fs::write(data.path().join(name), text).unwrap();
    write("log", rows.iter().map(Value::to_string).collect::<Vec<_>>().join("\n"));
    let signer = |digit: &str| Signer::new(&MasterKey::from_hex(&digit.repeat(64)).unwrap()).unwrap();
    let (ours, stranger) = (signer("1"), signer("2"));
    write("keys", json!({ "keys": [{ "crv": "Ed25519", "x": ours.public().1 }] }).to_string());
    let point = json!({ "number": 1, "first_seq": 1, "last_seq": 3, "head_hash": rows[2]["hash"] });
    let verify = |point: &Value, more: &[&str]| {
        write("point", point.to_string());
        let output = agentframer(
            data.path(),
            &[&["audit", "verify", "log", "--checkpoint", "point"], more].concat(),
            "",
        );
        (code(&output), String::from_utf8_lossy(&output.stdout).into_owned() + &errors(&output))
    };
    let keys = ["--keys", "keys"];
    let (signed, forged) = (ours.sign(&point).unwrap(), stranger.sign(&point).unwrap());
    let cases = [
        (verify(&signed, &keys), 0, format!("signed with {}, which is among the keys", ours.public().0)),
        (
            verify(&forged, &keys),
            1,
            format!("signed with the key {}, which is not in the key set", stranger.public().0),
        ),
        (verify(&point, &keys), 1, "no Ed25519 signature".to_owned()),
        (verify(&forged, &[]), 0, "the signer was not checked".to_owned()),
        (verify(&point, &[]), 0, "unsigned".to_owned()),
    ];
    for ((code, said), expected, words) in cases {
        assert!(code == expected && said.contains(&words), "{code} {said}, not {expected} {words}");
    }
    write("log", rows[1..].iter().map(Value::to_string).collect::<Vec<_>>().join("\n"));
    let (code, said) = verify(&signed, &keys);
    assert!(
        code == 1 && said.contains("begins only at row 2, but the checkpoint covers the rows from 1"),
        "{said}"
    );
}

#[test]
fn an_array_is_read_row_by_row() {
    let broken = |rows: &[Value], more: &str| {
        let text = json!(rows).to_string() + more;
        let output = agentframer(&std::env::temp_dir(), &["audit", "verify", "-"], &text);
        (code(&output), errors(&output))
    };
    let mut changed = rows();
    changed[1]["cost_usd"] = 0.01.into();
    // What comes behind the bad row is never looked at.
    changed[2] = json!("no row");
    let (code, said) = broken(&changed, "");
    assert!(code == 1 && said.contains("row 2"), "{said}");
    assert_eq!(broken(&rows(), "]").0, 2, "something behind the array");
    assert_eq!(broken(&[json!(1)], "").0, 2);
}

#[test]
fn a_log_whose_oldest_rows_went_begins_where_a_checkpoint_says() {
    let data = tempfile::tempdir().unwrap();
    let verify = |rows: &[Value], last: &Value, hash: &Value| {
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        std::fs::write(data.path().join("log"), lines.join("\n")).unwrap();
        let point = json!({ "last_seq": last["seq"], "head_hash": hash });
        std::fs::write(data.path().join("point"), point.to_string()).unwrap();
        agentframer(data.path(), &["audit", "verify", "log", "--checkpoint", "point"], "")
    };
    let rows = rows();
    let whole = verify(&rows[1..], &rows[0], &rows[0]["hash"]);
    assert_eq!(code(&whole), 0, "{}", errors(&whole));
    assert!(String::from_utf8_lossy(&whole.stdout).contains("2 rows from row 2 up to row 3"));
    let other = verify(&rows[1..], &rows[0], &rows[1]["hash"]);
    assert_eq!((code(&other), errors(&other).contains("row 2")), (1, true), "{}", errors(&other));
    let beheaded = verify(&rows[2..], &rows[0], &rows[0]["hash"]);
    assert_eq!((code(&beheaded), errors(&beheaded).contains("begins only at row 3")), (1, true));
}

#[test]
fn what_is_no_log_is_unreadable() {
    assert_eq!(code(&verify(&[json!({ "a": 1 })])), 2);
    assert_eq!(code(&verify(&[])), 2);
    let output = agentframer(&std::env::temp_dir(), &["audit", "verify", "/no/such/file"], "");
    assert_eq!(code(&output), 2);
}
