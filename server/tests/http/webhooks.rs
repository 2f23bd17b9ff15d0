//! The pages of webhooks as a browser without scripts meets them: made, changed, paused, looked at, sent again. And the
//! form of the alerts, whose secrets do not come back either.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use agentframer::domain::access::Role;
use agentframer::domain::alerts::AlertSettings;
use agentframer::engine::alerts::AlertChange;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::browser::{self, Session, form, later, open, send};
use super::html::Page;
use super::openapi::assert_described;
use super::support::{Databases, TestServer, both_engines};

/// Keeps what comes; answers as it was told, then with 200.
#[derive(Clone, Default)]
struct Receiver {
    came: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let receiver = Self::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(Self::take).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    async fn take(State(own): State<Self>, headers: HeaderMap, body: Bytes) -> StatusCode {
        own.came.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
        own.answers.lock().unwrap().pop_front().unwrap_or(StatusCode::OK)
    }

    fn came(&self) -> Vec<Value> {
        self.came.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }

    fn last_header(&self, name: &str) -> Option<String> {
        let came = self.came.lock().unwrap();
        Some(came.last()?.0.get(name)?.to_str().unwrap().to_owned())
    }
}

/// A server, an Admin's browser, and an endpoint that leads to a receiver.
struct World {
    server: TestServer,
    session: Session,
    receiver: Receiver,
    webhook: String,
}

impl World {
    async fn new(on: Databases) -> Self {
        let server =
            TestServer::start_with(on, |config| config.webhooks.allow_private_addresses = true).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let (receiver, url) = Receiver::start().await;
        let body = form(&[
            ("workspace", server.made.workspace_id.as_str()),
            ("url", &url),
            ("format", "generic"),
            ("token", ""),
            ("events", ""),
            ("headers", "X-Team: growth"),
        ]);
        let answer = send(&server, "create_webhook", &body, Some(&session)).await;
        let webhook = answer.headers()["location"].to_str().unwrap().rsplit('/').next().unwrap().to_owned();
        Self { server, session, receiver, webhook }
    }

    fn path(&self) -> String {
        format!("/w/{}/webhooks/{}", self.server.made.workspace_id, self.webhook)
    }

    async fn page(&self) -> String {
        open(&self.server, &self.path(), Some(&self.session)).await.text().await.unwrap()
    }

    fn body(&self, fields: &[(&str, &str)]) -> String {
        let own = [("workspace", self.server.made.workspace_id.as_str()), ("webhook", &self.webhook)];
        form(&[&own, fields].concat())
    }

    /// Sends a form and follows it to the page that it leads to.
    async fn act(&self, endpoint: &str, body: &str) -> String {
        let answer = send(&self.server, endpoint, body, Some(&self.session)).await;
        let session = self.session.with_flash(&answer);
        open(&self.server, &self.path(), Some(&session)).await.text().await.unwrap()
    }

    async fn deliver(&self) {
        while self.server.engine.deliver_webhooks().await.unwrap() > 0 {}
    }
}

/// What the page's forms named `endpoint` would send, each as a body.
fn bodies(html: &str, endpoint: &str) -> Vec<String> {
    let forms = html.split("<form ").skip(1).map(|form| form.split("</form>").next().unwrap());
    let ours = forms.filter(|form| form.contains(&format!("/api/{endpoint}\"")));
    ours.map(|form| {
        let value = |input: &str, name: &str| {
            let from = input.find(&format!("{name}=\""))? + name.len() + 2;
            Some(input[from..].split('"').next().unwrap().to_owned())
        };
        let inputs = form.split("<input ").skip(1).map(|input| input.split('>').next().unwrap());
        let fields: Vec<_> =
            inputs.filter_map(|input| Some((value(input, "name")?, value(input, "value")?))).collect();
        browser::form(&fields.iter().map(|(name, value)| (&**name, &**value)).collect::<Vec<_>>())
    })
    .collect()
}

fn is_ticked(html: &str, name: &str) -> bool {
    let page = Page::read(html);
    let mut inputs = page.all("input", None);
    inputs.any(|input| input.get("name") == Some(name) && input.get("checked").is_some())
}

both_engines! {
    async fn the_answers_are_as_described(on) {
        let world = World::new(on).await;
        let (server, own) = (&world.server, format!("/webhooks/{}", world.webhook));
        let (_, url) = Receiver::start().await;
        let new = json!({ "url": url, "format": "generic", "headers": { "X-Team": "growth" } });
        let made = assert_described(server, Method::POST, "/webhooks", "/webhooks", Some(new)).await;
        assert_eq!(made["headers"]["X-Team"], "growth", "in the answer that makes it");
        let listed = assert_described(server, Method::GET, "/webhooks", "/webhooks", None).await;
        assert!(!listed.to_string().contains("growth"), "and nowhere else: {listed}");
        for act in ["test", "rotate-secret"] {
            assert_described(server, Method::POST, &format!("{own}/{act}"), &format!("/webhooks/{{id}}/{act}"), None).await;
        }
        let replay = Some(json!({ "from_seq": 1 }));
        assert_described(server, Method::POST, &format!("{own}/replay"), "/webhooks/{id}/replay", replay).await;
        world.deliver().await;
        let sent = assert_described(server, Method::GET, &format!("{own}/deliveries"), "/webhooks/{id}/deliveries", None).await;
        assert!(!sent["items"].as_array().unwrap().is_empty());
    }

    async fn an_endpoints_secret_is_shown_once(on) {
        let server = TestServer::start_with(on, |config| config.webhooks.allow_private_addresses = true).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let body = form(&[("workspace", server.made.workspace_id.as_str()), ("url", "https://siem.example.com/hook"), ("format", "generic"), ("token", ""), ("events", ""), ("headers", "")]);
        let answer = send(&server, "create_webhook", &body, Some(&session)).await;
        let to = answer.headers()["location"].to_str().unwrap().to_owned();
        let first = open(&server, &to, Some(&session.with_flash(&answer))).await.text().await.unwrap();
        assert!(first.contains("whsec_") && first.contains("it is not shown again"), "{first}");
        let second = open(&server, &to, Some(&session)).await.text().await.unwrap();
        assert!(!second.contains("whsec_") && second.contains("siem.example.com"), "{second}");
    }

    async fn own_headers_are_named_kept_and_removed(on) {
        let world = World::new(on).await;
        world.server.mcp().image().await;
        world.deliver().await;
        assert_eq!(world.receiver.last_header("x-team").as_deref(), Some("growth"));
        let html = world.page().await;
        assert!(html.contains("Sent now: ") && html.contains("X-Team") && !html.contains("X-Team: growth"), "{html}");
        let url = "http://127.0.0.1:9/other";
        let fields = [("url", url), ("token", ""), ("events", ""), ("headers", "")];
        let html = world.act("change_webhook", &world.body(&fields)).await;
        assert!(html.contains("X-Team") && html.contains(url), "an empty box changes no header: {html}");
        let html = world.act("change_webhook", &world.body(&[&fields[..], &[("remove_headers", "true")]].concat())).await;
        assert!(!html.contains("X-Team"), "{html}");
    }

    async fn one_delivery_is_looked_at_and_sent_again(on) {
        let world = World::new(on).await;
        let first = world.server.mcp().image().await;
        world.deliver().await;
        let html = world.page().await;
        assert!(html.contains("generation.completed") && html.contains(first["request_id"].as_str().unwrap()), "{html}");
        let again = bodies(&html, "replay_webhook").into_iter().find(|body| body.contains("from_seq=") && !body.contains("from_seq=&")).unwrap();
        let html = world.act("replay_webhook", &again).await;
        assert!(html.contains("sent once more, under the same ids"), "{html}");
        world.deliver().await;
        let came = world.receiver.came();
        assert_eq!((came.len(), &came[1]), (3, &came[0]), "the same event, under its own id");
        assert_eq!(came[2]["event"], "webhook.replayed");
        world.server.engine.test_webhook(&world.server.admin().await, &world.webhook.parse().unwrap()).await.unwrap();
        let buttons = world.page().await.matches("Send this event again").count();
        assert_eq!(buttons, 3, "the call, its repeat and the act of repeating; a test stands at no place in the log");
    }

    async fn what_the_receiver_refused_is_sent_again_one_by_one_or_at_once(on) {
        let world = World::new(on).await;
        world.receiver.answers.lock().unwrap().extend([StatusCode::UNPROCESSABLE_ENTITY; 3]);
        for _ in 0..3 {
            world.server.mcp().image().await;
        }
        world.deliver().await;
        let html = world.page().await;
        assert_eq!(html.matches("Send again</button>").count(), 3, "{html}");
        let one = bodies(&html, "replay_webhook").into_iter().find(|body| body.contains("from_seq=")).unwrap();
        world.act("replay_webhook", &one).await;
        world.deliver().await;
        let html = world.page().await;
        assert_eq!(html.matches("Send again</button>").count(), 2, "{html}");
        let all = bodies(&html, "replay_webhook").into_iter().find(|body| body.contains("failed_days=30")).unwrap();
        world.act("replay_webhook", &all).await;
        world.deliver().await;
        let html = world.page().await;
        assert!(!html.contains("Refused by the receiver"), "{html}");
        let came = world.receiver.came();
        assert_eq!(came.iter().filter(|event| event["event"] == "generation.completed").count(), 6);
        let html = world.act("replay_webhook", &later(&all)).await;
        assert!(html.contains("Nothing was put aside"), "{html}");
    }

    async fn no_token_in_a_url_is_exported(on) {
        let world = World::new(on).await;
        let url = "http://127.0.0.1:9/s3cret?token=s3cret";
        let fields = [("url", url), ("token", ""), ("events", ""), ("headers", "")];
        world.act("change_webhook", &world.body(&fields)).await;
        world.act("delete_webhook", &world.body(&[])).await;
        for format in ["application/x-ndjson", "text/csv"] {
            let answer = world.server.rest(Method::GET, "/audit").header("accept", format).send().await.unwrap();
            let text = answer.text().await.unwrap();
            assert!(text.contains("webhook.changed") && text.contains("http://127.0.0.1:9 "), "{format}: {text}");
            assert!(!text.contains("s3cret"), "{format}: {text}");
        }
    }

    async fn a_paused_endpoint_waits_and_loses_nothing(on) {
        let world = World::new(on).await;
        let html = world.act("set_webhook_state", &world.body(&[("state", "paused")])).await;
        assert!(html.contains("Paused. Events wait") && html.contains(">Resume<"), "{html}");
        world.server.mcp().image().await;
        world.deliver().await;
        assert!(world.receiver.came().is_empty());
        world.act("set_webhook_state", &world.body(&[("state", "active")])).await;
        world.deliver().await;
        let came = world.receiver.came();
        assert!(came.iter().any(|event| event["event"] == "generation.completed"), "{came:?}");
    }

    async fn wrong_input_stands_beside_its_field_and_is_kept(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let path = format!("/w/{}/webhooks", server.made.workspace_id);
        for (field, value, says) in [
            ("url", "https://169.254.169.254/latest", "public"),
            ("url", "https://localhost/hook", "public"),
            ("url", "ftp://siem.example.com", "https"),
            ("events", "generation.completed no.such_event", "no.such_event"),
            ("headers", "no colon here", "no colon here"),
            ("headers", "Host: other", "Host"),
        ] {
            let mut fields = [("workspace", server.made.workspace_id.as_str()), ("url", "https://siem.example.com/hook"), ("format", "generic"), ("token", ""), ("events", ""), ("headers", "")];
            fields.iter_mut().find(|(name, _)| *name == field).unwrap().1 = value;
            let answer = send(&server, "create_webhook", &form(&fields), Some(&session)).await;
            assert_eq!(browser::became(&answer), "back", "{field}: {value}");
            let html = open(&server, &path, Some(&session.with_flash(&answer))).await.text().await.unwrap();
            let error = html.split(&format!("id=\"{field}-error\"")).nth(1).unwrap_or_else(|| panic!("{value}: {html}")).split("</p>").next().unwrap();
            assert!(error.to_lowercase().contains(&says.to_lowercase()), "{value}: {error}");
            assert!(html.contains(&format!("\n{value}</textarea>")) || html.contains(&format!("value=\"{value}\"")), "{value} is kept");
        }
        assert!(server.engine.webhooks(&server.admin().await).await.unwrap().is_empty());
    }

    async fn a_wrong_change_keeps_the_tick_and_asks_for_the_token_again(on) {
        let world = World::new(on).await;
        let fields = [("url", "ftp://siem.example.com"), ("token", "s3cret"), ("events", ""), ("headers", "")];
        let again = "Token was not kept, being secret: type it again.";
        let ticked = world.body(&[&fields[..], &[("remove_headers", "true")]].concat());
        for (body, tick) in [(ticked, true), (world.body(&fields), false)] {
            let html = world.act("change_webhook", &body).await;
            assert!(html.contains("href=\"#url\"") && html.contains(again) && !html.contains("s3cret"), "{html}");
            assert_eq!(is_ticked(&html, "remove_headers"), tick, "{html}");
        }
        let new = world.body(&[&fields[..], &[("format", "datadog")]].concat());
        let made = send(&world.server, "create_webhook", &new, Some(&world.session)).await;
        let path = format!("/w/{}/webhooks", world.server.made.workspace_id);
        let html = open(&world.server, &path, Some(&world.session.with_flash(&made))).await.text().await.unwrap();
        assert!(html.contains(again) && !html.contains("s3cret"), "{html}");
    }

    async fn wrong_alerts_keep_the_tick_and_ask_for_slacks_address_again(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let slack_url = Some("https://hooks.slack.com/services/T0/B0/x".to_owned());
        let change = AlertChange { settings: AlertSettings::default(), slack_url };
        server.engine.set_alerts(&server.admin().await, change).await.unwrap();
        let ws = server.made.workspace_id.as_str();
        let fields = [
            ("workspace", ws), ("further_thresholds", "90"), ("recipients", "nobody"), ("slack_url", "https://hooks.slack.com/s3cret"),
            ("repeats", "5"), ("minutes", "10"), ("times_typical", "5"),
        ];
        let ticked = form(&[&fields[..], &[("remove_slack", "true")]].concat());
        for (body, tick) in [(ticked, true), (form(&fields), false)] {
            let answer = send(&server, "set_alerts", &body, Some(&session)).await;
            assert_eq!(browser::became(&answer), "back");
            let page = open(&server, &format!("/w/{ws}/caps"), Some(&session.with_flash(&answer))).await.text().await.unwrap();
            for shown in ["href=\"#recipients\"", "value=\"nobody\"", "Slack was not kept, being secret: type it again."] {
                assert!(page.contains(shown), "{shown}: {page}");
            }
            assert!(!page.contains("s3cret"), "{page}");
            assert_eq!(is_ticked(&page, "remove_slack"), tick, "{page}");
        }
        let alerts = server.engine.alerts(&server.admin().await).await.unwrap();
        assert!(alerts.slack && alerts.settings == AlertSettings::default(), "nothing was changed");
    }

    async fn who_may_not_change_it_sees_no_buttons(on) {
        let world = World::new(on).await;
        world.receiver.answers.lock().unwrap().extend([StatusCode::UNPROCESSABLE_ENTITY]);
        world.server.mcp().image().await;
        world.deliver().await;
        for role in [Role::Developer, Role::Viewer] {
            let session = browser::session_of(&world.server, role).await;
            let answer = open(&world.server, &world.path(), Some(&session)).await;
            let html = answer.text().await.unwrap();
            assert_eq!(bodies(&html, "replay_webhook"), Vec::<String>::new(), "{role}");
            assert!(!html.contains("Send"), "{role}: {html}");
        }
    }
}
