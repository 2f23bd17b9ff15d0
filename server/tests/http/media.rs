//! Signed links to results.

use agentframer::domain::time::DAY;
use reqwest::StatusCode;
use serde_json::json;

use super::support::{Databases, TestServer, both_engines};

both_engines! {
    async fn a_link_works_as_it_was_given_only(on) {
        let server = TestServer::start(on).await;
        let made = server.mcp().image().await;
        let url = made["result_url"].as_str().unwrap().to_owned();
        let get = |url: String| async { server.http.get(url).send().await.unwrap() };
        let response = get(url.clone()).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["content-disposition"], "inline");
        let (plain, signature) = url.rsplit_once("signature=").unwrap();
        let wrong = [
            plain.trim_end_matches(['&', '?']).to_owned(),
            format!("{plain}signature={}", signature.replace(&signature[..1], "x")),
            url.replace("expires=", "expires=9"),
            url.replace(".png", "x.png"),
            server.url("/media/nonsense"),
        ];
        for url in wrong {
            assert_eq!(get(url.clone()).await.status(), StatusCode::NOT_FOUND, "{url}");
        }
        server.clock.advance(8 * DAY);
        assert_eq!(get(url).await.status(), StatusCode::GONE);
    }

    async fn nothing_is_listed(on) {
        let server = TestServer::start(on).await;
        let made = server.mcp().image().await;
        let link = made["result_url"].as_str().unwrap();
        let (mut folder, query) = link.split_once('?').unwrap();
        // The day, the month, the year, the workspace, and all of it; with a signature for something else, and without.
        while let Some((above, _)) = folder.rsplit_once('/').filter(|(above, _)| above.contains("/media")) {
            folder = above;
            for url in [format!("{folder}/"), folder.to_owned(), format!("{folder}/?{query}")] {
                let answer = server.http.get(&url).send().await.unwrap();
                assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{url}");
                assert!(!answer.text().await.unwrap().contains(made["generation_id"].as_str().unwrap()), "{url}");
            }
        }
        assert!(folder.ends_with("/media"));
    }

    async fn ranges_and_heads_are_answered(on) {
        let server = TestServer::start(on).await;
        let waves = json!({ "prompt": "waves", "width": 64, "height": 64, "duration_s": 1 });
        let made = server.mcp().call("generate_video", waves).await["structuredContent"].clone();
        let url = made["result_url"].as_str().unwrap();
        let whole = server.http.get(url).send().await.unwrap().bytes().await.unwrap();
        let part = async |range: &str| server.http.get(url).header("range", range).send().await.unwrap();
        let first = part("bytes=0-3").await;
        assert_eq!(first.status(), StatusCode::PARTIAL_CONTENT);
        assert_eq!((&first.headers()["accept-ranges"], &first.headers()["content-type"]), (&"bytes".parse().unwrap(), &"image/apng".parse().unwrap()));
        assert_eq!(first.headers()["content-range"], format!("bytes 0-3/{}", whole.len()));
        assert_eq!(first.bytes().await.unwrap(), whole[..4]);
        assert_eq!(part("bytes=-4").await.bytes().await.unwrap(), whole[whole.len() - 4..]);
        assert_eq!(part("bytes=4-").await.bytes().await.unwrap(), whole[4..]);
        let beyond = part("bytes=99999999-").await;
        assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(part("bytes=0-1,3-4").await.status(), StatusCode::OK);
        let head = server.http.head(url).send().await.unwrap();
        assert_eq!(head.headers()["content-length"], whole.len().to_string());
        assert!(head.bytes().await.unwrap().is_empty());
    }
}
