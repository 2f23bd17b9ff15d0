//! Where data lives and how it goes, through REST and the command line.

use std::path::Path;
use std::process::{Command, Output};

use agentframer::domain::time::HOUR;
use agentframer::engine::access::workspaces::NewWorkspace;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::tempdir;

use super::command_line::{agentframer, bootstrap, code, errors};
use super::openapi::assert_described;
use super::support::{Databases, TestServer, both_engines, read};

fn asked(kind: &str) -> Value {
    json!({
        "kind": kind, "match": { "subject": "customer-42" }, "received_on": "2026-10-14", "requested_by": "Grace Hopper",
    })
}

/// A generation for the subject.
async fn portrait(server: &TestServer) {
    let arguments = json!({ "prompt": "a portrait", "width": 64, "height": 64, "subject": "customer-42" });
    assert_eq!(server.mcp().call("generate_image", arguments).await["isError"], false);
}

both_engines! {
    async fn a_request_goes_from_preview_to_certificate(on) {
        let server = TestServer::start(on).await;
        portrait(&server).await;
        let post = Method::POST;
        let preview = assert_described(&server, post.clone(), "/data-requests/preview", "/data-requests/preview", Some(asked("erasure"))).await;
        assert_eq!((&preview["state"], &preview["matches"]["prompts"]), (&json!("preview"), &json!(1)));
        let filed = assert_described(&server, post.clone(), "/data-requests", "/data-requests", Some(asked("erasure"))).await;
        assert_eq!((&filed["state"], &filed["due_on"]), (&json!("awaiting_approval"), &json!("2026-11-14")));
        let own = format!("/data-requests/{}", filed["id"].as_str().unwrap());
        let (status, _) = server.rest_json(Method::GET, &format!("{own}/certificate"), None).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        let (status, approved) = server.rest_json(post.clone(), &format!("{own}/approve"), None).await;
        assert_eq!((status, &approved["state"]), (StatusCode::OK, &json!("approved")));
        let (status, problem) = server.rest_json(post, &format!("{own}/reject"), Some(json!({ "reason": "late" }))).await;
        assert_eq!((status, &problem["type"]), (StatusCode::CONFLICT, &json!("urn:agentframer:problem:conflict")));
        server.engine.execute_data_requests().await.unwrap();
        let done = assert_described(&server, Method::GET, &own, "/data-requests/{id}", None).await;
        assert_eq!((&done["state"], &done["has_certificate"]), (&json!("done"), &json!(true)));

        let (_, certificate) = server.rest_json(Method::GET, &format!("{own}/certificate"), None).await;
        let (_, keys) = read(server.http.get(server.url("/reference/keys.json")).send().await.unwrap()).await;
        let folder = tempdir().unwrap();
        let write = |name: &str, json: &Value| std::fs::write(folder.path().join(name), json.to_string()).unwrap();
        write("certificate.json", &certificate);
        write("keys.json", &keys);
        let verify = |file: &str| agentframer(folder.path(), &["certificate", "verify", file, "--keys", "keys.json"], "");
        let good = verify("certificate.json");
        assert_eq!(code(&good), 0, "{}", errors(&good));
        let mut forged = certificate.clone();
        forged["deleted"][0]["count"] = 99.into();
        write("forged.json", &forged);
        assert_eq!((code(&verify("forged.json")), code(&verify("missing.json"))), (1, 2));
    }

    async fn an_archive_is_fetched_over_its_link(on) {
        let server = TestServer::start(on).await;
        portrait(&server).await;
        let (_, filed) = server.rest_json(Method::POST, "/data-requests", Some(asked("access"))).await;
        let own = format!("/data-requests/{}", filed["id"].as_str().unwrap());
        server.rest_json(Method::POST, &format!("{own}/approve"), Some(json!({ "identity": "passport" }))).await;
        server.engine.execute_data_requests().await.unwrap();
        let (_, done) = server.rest_json(Method::GET, &own, None).await;
        let response = server.http.get(done["archive_url"].as_str().unwrap()).send().await.unwrap();
        assert_eq!((response.status(), &response.headers()["content-type"]), (StatusCode::OK, &"application/x-tar".parse().unwrap()));
        let bytes = response.bytes().await.unwrap();
        assert!(bytes.windows(13).any(|part| part == b"manifest.json"));
        let forged = done["archive_url"].as_str().unwrap().replace("signature=", "signature=0");
        assert_eq!(server.http.get(forged).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }

    async fn settings_holds_and_checkpoints_are_as_described(on) {
        let server = TestServer::start(on).await;
        let change = json!({ "media_retention_days": 7, "cost_centre": "4711", "replicate_to": "us-east-1" });
        let settings = assert_described(&server, Method::PATCH, "/settings", "/settings", Some(change)).await;
        assert_eq!((&settings["media_retention_days"], &settings["replicate_to"]), (&json!(7), &json!("us-east-1")));
        let (status, problem) = server.rest_json(Method::PATCH, "/settings", Some(json!({ "media_retention_days": 0 }))).await;
        assert_eq!((status, &problem["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("media_retention_days")));
        let other = NewWorkspace { name: "Other".into(), region: "eu-west-1".into() };
        server.engine.create_workspace(&server.made.user_id, other, server.origin()).await.unwrap();
        let taken = json!({ "name": "Other", "media_retention_days": 1 });
        let (status, problem) = server.rest_json(Method::PATCH, "/settings", Some(taken)).await;
        assert_eq!((status, &problem["field"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("name")), "{problem}");
        let (_, settings) = server.rest_json(Method::GET, "/settings", None).await;
        assert_eq!(settings["media_retention_days"], 7, "nothing of it was changed");
        let try_it = Some(json!({ "media_retention_days": 1 }));
        assert_described(&server, Method::POST, "/retention/preview", "/retention/preview", try_it).await;
        let hold = Some(json!({ "kind": "agent", "target": "growth-bot", "reason": "case 7" }));
        let hold = assert_described(&server, Method::POST, "/holds", "/holds", hold).await;
        assert_eq!(hold["target"], "agent.growth-bot");
        server.engine.purge().await.unwrap();
        assert_described(&server, Method::GET, "/retention", "/retention", None).await;
        server.clock.advance(2 * HOUR);
        server.engine.make_checkpoints().await.unwrap();
        let checkpoints = assert_described(&server, Method::GET, "/audit/checkpoints", "/audit/checkpoints", None).await;
        assert!(checkpoints["items"][0]["signature"]["value"].is_string());
    }
}

#[test]
fn a_backup_is_restored_beside_its_buckets() {
    let data = tempdir().unwrap();
    assert_eq!(code(&bootstrap(data.path(), &[])), 0);
    let backup = agentframer(data.path(), &["backup", "saved"], "");
    assert_eq!(code(&backup), 0, "{}", errors(&backup));
    let again = agentframer(data.path(), &["backup", "saved"], "");
    assert!(code(&again) == 1 && errors(&again).contains("not empty"), "{}", errors(&again));
    let live = agentframer(data.path(), &["restore", "saved"], "");
    assert!(code(&live) == 1 && errors(&live).contains("in use"), "{}", errors(&live));
    for database in ["control.db", "eu-west-1.db", "us-east-1.db"] {
        for ending in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(data.path().join(format!("data/{database}{ending}")));
        }
    }
    let restored = agentframer(data.path(), &["restore", "saved"], "");
    assert_eq!(code(&restored), 0, "{}", errors(&restored));
    assert!(String::from_utf8_lossy(&restored.stdout).contains("Clean"));
}

/// As on a disk that has no more room: writes beyond 33 KiB of a file fail.
fn without_room(data: &Path, args: &[&str]) -> Output {
    let limited = "trap '' XFSZ; ulimit -f 33; exec \"$0\" \"$@\"";
    let mut command = Command::new("bash");
    command.args(["-c", limited, env!("CARGO_BIN_EXE_agentframer")]).args(args);
    command.current_dir(data).output().unwrap()
}

/// More than that, also compressed.
async fn add_rows(data: &Path) {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite:{}", data.join("data/eu-west-1.db").display());
    let database = sqlx::AnyPool::connect(&url).await.unwrap();
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
                INSERT INTO facts (name, value) SELECT 'row ' || i, HEX(RANDOMBLOB(32)) FROM n";
    sqlx::query(rows).execute(&database).await.unwrap();
    database.close().await;
}

#[tokio::test]
async fn a_backup_onto_a_full_disk_says_so_and_is_never_restored() {
    let (data, empty) = (tempdir().unwrap(), tempdir().unwrap());
    assert_eq!(code(&bootstrap(data.path(), &[])), 0);
    add_rows(data.path()).await;
    let full = without_room(data.path(), &["backup", "saved"]);
    assert!(code(&full) == 1 && errors(&full).contains("not a whole backup"), "{}", errors(&full));
    let saved = data.path().join("saved");
    let restored = agentframer(empty.path(), &["restore", saved.to_str().unwrap()], "");
    assert!(
        code(&restored) == 1 && errors(&restored).contains("Nothing was restored"),
        "{}",
        errors(&restored)
    );
    let again = agentframer(data.path(), &["backup", "elsewhere"], "");
    assert_eq!(code(&again), 0, "with room it is made: {}", errors(&again));
}
