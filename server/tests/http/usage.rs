//! Usage, billing and the list of workspaces over HTTP: REST, pages and downloads say the same amounts.

use agentframer::domain::access::Role;
use agentframer::domain::time::DAY;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::browser::{self, Session, form, open, send};
use super::html::Page;
use super::support::{Databases, TestServer, both_engines};

/// Two images by the agent, one refusal.
async fn used(server: &TestServer) {
    server.mcp().image().await;
    server.mcp().image().await;
    server.mcp().call("delete_workspace", json!({ "confirm": "Growth" })).await;
}

async fn text(server: &TestServer, path: &str, session: &Session) -> (StatusCode, String, String) {
    let answer = open(server, path, Some(session)).await;
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    (answer.status(), kind, answer.text().await.unwrap())
}

/// The input holds what was typed, is marked, has its error and the focus, and the summary leads to it.
fn assert_marked(html: &str, name: &str, typed: &str) {
    let page = Page::read(html);
    let input = page.all("input", None).find(|input| input.get("id") == Some(name)).expect(name);
    let error = format!("{name}-error");
    assert_eq!((input.get("value"), input.get("aria-invalid")), (Some(typed), Some("true")), "{html}");
    assert_eq!(
        (input.get("aria-describedby"), input.get("autofocus")),
        (Some(error.as_str()), Some("")),
        "{html}"
    );
    let said = page.all("p", None).find(|one| one.get("id") == Some(&error)).unwrap().label();
    assert!(said.starts_with("This ") && html.contains(&format!("href=\"#{name}\"")), "{said}: {html}");
}

both_engines! {
    async fn usage_by_rest_is_what_was_charged(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        for group in ["user", "tool", "model", "kind"] {
            for interval in ["hour", "day", "month"] {
                let path = format!("/usage?interval={interval}&group_by={group}");
                let (status, usage) = server.rest_json(Method::GET, &path, None).await;
                assert_eq!((status, &usage["total"]["cost_usd"]), (StatusCode::OK, &json!(0.084)), "{usage}");
                let costs = usage["items"].as_array().unwrap().iter().map(|row| row["cost_usd"].as_f64().unwrap());
                assert!((costs.sum::<f64>() - 0.084).abs() < 1e-9, "{usage}");
            }
        }
        let (_, usage) = server.rest_json(Method::GET, "/usage?group_by=tool", None).await;
        let row = usage["items"].as_array().unwrap().iter().find(|row| row["group"] == "generate_image").unwrap();
        assert_eq!((&row["calls"], &row["images"]), (&json!(2), &json!(2)), "{usage}");
        let csv = server.rest(Method::GET, "/usage?group_by=model").header("accept", "text/csv").send().await.unwrap();
        assert!(csv.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
        let csv = csv.text().await.unwrap();
        assert!(csv.starts_with("start,end,group,calls,cost_usd") && csv.contains("sketch-image-1,2,0.084,2,0,0,0\r\n"), "{csv}");
    }

    async fn a_wrong_parameter_is_named(on) {
        let server = TestServer::start(on).await;
        for (query, field) in [("from=soon", "from"), ("interval=week", "interval"), ("group_by=x", "group_by"), ("from=2026-02-01&to=2026-01-01", "to"), ("from=2020-01-01&interval=hour", "interval")] {
            let (status, problem) = server.rest_json(Method::GET, &format!("/usage?{query}"), None).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
            assert!(problem.to_string().contains(&format!("{field}:")) || problem.to_string().contains(&format!("\"{field}\"")), "{query}: {problem}");
        }
    }

    async fn the_ledger_is_filtered_and_streams_as_a_sheet(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let (_, ins) = server.rest_json(Method::GET, "/ledger?kind=top_up", None).await;
        let (_, charges) = server.rest_json(Method::GET, "/ledger?actor=agent.growth-bot&from=2020-01-01", None).await;
        let count = |list: &Value| list["items"].as_array().unwrap().len();
        assert_eq!((count(&ins), count(&charges)), (1, 2));
        let sheet = server.rest(Method::GET, "/ledger").header("accept", "text/csv").send().await.unwrap().text().await.unwrap();
        let lines: Vec<&str> = sheet.lines().collect();
        assert_eq!(lines.len(), 4, "{sheet}");
        assert!(lines[1].contains(",charge,-0.042,99.916,"), "{sheet}");
    }

    async fn the_usage_page_shows_figures_bars_and_sums(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let base = format!("/w/{}/usage", server.made.workspace_id);
        let (_, _, html) = text(&server, &base, &session).await;
        assert!(html.contains("$0.084") && html.contains("agent.growth-bot") && html.contains("class=\"s1\""), "{html}");
        assert!(!html.contains("style="), "the content security policy refuses inline styles");
        let (_, _, html) = text(&server, &format!("{base}?hide=agent.growth-bot"), &session).await;
        assert!(!html.contains("class=\"s1\"") && html.contains("(hidden)") && html.contains("$0.084"), "{html}");
        let (status, _, html) = text(&server, &format!("{base}?from=2026-02-01&to=2026-01-01"), &session).await;
        assert!(status.is_success() && html.contains("is not after the beginning") && html.contains("2026-02-01"), "{html}");
        for period in ["today", "7d", "30d", "month", "last_month", "quarter"] {
            let status = open(&server, &format!("{base}?period={period}&group=kind"), Some(&session)).await.status();
            assert_eq!(status, StatusCode::OK, "{period}");
        }
    }

    async fn the_usage_page_says_what_it_is_compared_with(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let base = format!("/w/{}/usage", server.made.workspace_id);
        for (query, line) in [
            ("period=today", "14 Oct 2026, 00:00 to 18:00, compared with 13 Oct 2026, 00:00 to 18:00 · UTC"),
            ("period=7d", "8 to 14 Oct 2026, 18:00, compared with 1 to 7 Oct 2026, 18:00 · UTC"),
            ("period=month", "1 to 14 Oct 2026, 18:00, compared with 1 to 14 Sep 2026, 18:00 · UTC"),
            ("from=2026-10-01&to=2026-10-07", "1 to 7 Oct 2026, compared with 24 to 30 Sep 2026 · UTC"),
        ] {
            let (_, _, html) = text(&server, &format!("{base}?{query}"), &session).await;
            assert!(html.contains(line), "{query}: {html}");
        }
    }

    async fn lines_are_chosen_by_the_url_on_the_page_and_in_the_file(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let base = format!("/w/{}/usage", server.made.workspace_id);
        let (_, _, bars) = text(&server, &base, &session).await;
        assert!(!bars.contains("class=\"l1\"") && bars.contains("shape=lines"), "{bars}");
        let (_, _, lines) = text(&server, &format!("{base}?shape=lines"), &session).await;
        assert!(lines.contains("class=\"l1\"") && lines.contains("<circle class=\"s1\""), "{lines}");
        assert!(lines.contains("name=\"shape\" value=\"lines\"") && lines.contains("group=tool&amp;shape=lines"), "{lines}");
        let (_, _, file) = text(&server, &format!("{base}/export?format=svg&shape=lines"), &session).await;
        assert!(file.contains("stroke=\"#00797c\"") && !file.contains("class=\"l1\""), "{file}");
        let (status, _, wrong) = text(&server, &format!("{base}?shape=pie"), &session).await;
        assert!(status.is_success() && wrong.contains("is not bars or lines"), "{wrong}");
    }

    async fn a_bar_says_its_series_and_each_part_leads_to_its_calls(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let base = format!("/w/{}/usage", server.made.workspace_id);
        let (_, _, html) = text(&server, &base, &session).await;
        assert!(html.contains(": $0.084 · growth-bot $0.084\""), "{html}");
        assert!(html.contains("/audit?q=agent%3Agrowth-bot+after%3A"), "{html}");
        assert!(html.contains("<th class=\"num\">agent.growth-bot</th>"), "the table has the series: {html}");
        let (_, _, html) = text(&server, &format!("{base}?hide=agent.growth-bot"), &session).await;
        assert!(html.contains("/audit?q=-agent%3Agrowth-bot+after%3A"), "hidden series are left out: {html}");
        let (_, _, html) = text(&server, &format!("{base}?group=workspace"), &session).await;
        let calls = format!("/w/{}/audit?q=", server.made.workspace_id);
        assert_eq!(html.matches(&calls).count(), 0, "this log has not the other workspaces’ calls: {html}");
    }

    async fn a_picture_says_by_itself_what_it_shows(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let path = format!("/w/{}/usage/export?format=svg&period=month&group=model", server.made.workspace_id);
        let (_, _, svg) = text(&server, &path, &session).await;
        for part in ["Spend by day and model", "Growth · ", "(UTC) · $0.084", ">sketch-image-1</text>"] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
        let (_, _, svg) = text(&server, &format!("{path}&hide=sketch-image-1"), &session).await;
        assert!(!svg.contains(">sketch-image-1</text>"), "{svg}");
    }

    async fn downloads_hold_what_the_pages_show(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let base = format!("/w/{}", server.made.workspace_id);
        let (_, kind, csv) = text(&server, &format!("{base}/usage/export?period=month&group=user"), &session).await;
        assert!(kind.starts_with("text/csv") && csv.contains("agent.growth-bot,2,0.084,2,0,1,0"), "{csv}");
        let (_, kind, json) = text(&server, &format!("{base}/usage/export?format=json"), &session).await;
        assert_eq!((kind.as_str(), &serde_json::from_str::<Value>(&json).unwrap()["total"]["cost_usd"]), ("application/json", &json!(0.084)));
        let (_, kind, svg) = text(&server, &format!("{base}/usage/export?format=svg"), &session).await;
        assert!(kind == "image/svg+xml" && svg.starts_with("<svg") && svg.contains("#00797c"), "{svg}");
        let (_, _, ledger) = text(&server, &format!("{base}/billing/export?kind=charge"), &session).await;
        assert_eq!(ledger.lines().count(), 3, "{ledger}");
        let (_, _, focus) = text(&server, &format!("{base}/billing/focus"), &session).await;
        assert!(focus.starts_with("AvailabilityZone,BilledCost,") && focus.contains(",0.084000,"), "{focus}");
        let (_, _, all) = text(&server, "/workspaces/export", &session).await;
        assert!(all.contains(",Growth,eu-west-1,,2,0.084,0,") && all.contains(",99.916,"), "{all}");
    }

    async fn a_statement_adds_up_and_names_its_parts(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let month = server.clock.now().month_key();
        let path = format!("/w/{}/billing/statement?month={month}", server.made.workspace_id);
        let (_, _, html) = text(&server, &path, &session).await;
        for part in ["$0.000", "+ $100.000", "− $0.084", "$99.916", "Charges by agent", "Charges by model", "Charges by tool", "sketch-image-1"] {
            assert!(html.contains(part), "{part}: {html}");
        }
        let (status, _, html) = text(&server, &path.replace(&month, "soon"), &session).await;
        assert_eq!(status, StatusCode::OK);
        assert_marked(&html, "month", "soon");
        assert!(html.contains("The last whole month is shown.") && html.contains("Opening balance"), "{html}");
    }

    async fn a_wrong_filter_is_named_at_its_control_and_the_page_shows_all_the_same(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let base = format!("/w/{}", server.made.workspace_id);
        for (query, name, typed) in [("from=soon", "from", "soon"), ("from=2026-02-02&to=2026-02-01", "to", "2026-02-01")] {
            for (page, shown) in [("billing", "Everything is shown."), ("usage", "This month is shown instead.")] {
                let (status, _, html) = text(&server, &format!("{base}/{page}?{query}"), &session).await;
                assert_eq!(status, StatusCode::OK, "{page}?{query}");
                assert_marked(&html, name, typed);
                assert!(html.contains(shown) && html.contains("0.042"), "{page}?{query}: {html}");
            }
        }
        let (_, _, html) = text(&server, &format!("{base}/billing?kind=gift"), &session).await;
        assert!(html.contains("href=\"#kind\"") && html.contains("<option value=\"gift\" selected"), "{html}");
        assert!(html.contains("/billing/export?\""), "the file is what is shown");
        let (_, _, html) = text(&server, &format!("{base}/usage?interval=week"), &session).await;
        assert!(html.contains("href=\"#interval\"") && html.contains("id=\"interval\""), "{html}");
        let (_, _, html) = text(&server, &format!("{base}/billing?from=2026-01-01"), &session).await;
        assert!(!html.contains("aria-invalid") && html.contains("/billing/export?from=2026-01-01\""), "{html}");
    }

    async fn a_ledgers_range_with_one_end_is_open_and_its_days_are_utcs(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let base = format!("/w/{}/billing", server.made.workspace_id);
        for (query, entries) in [("to=2050-01-01", 3), ("from=2020-01-01", 3), ("from=2050-01-01", 0), ("to=2020-01-01", 0)] {
            let (status, _, html) = text(&server, &format!("{base}?{query}"), &session).await;
            assert_eq!((status, html.contains("No entry matches.")), (StatusCode::OK, entries == 0), "{query}: {html}");
            assert!(!html.contains("aria-invalid") && html.contains("From (UTC)") && html.contains("To (UTC)"), "{html}");
            let (_, list) = server.rest_json(Method::GET, &format!("/ledger?{query}"), None).await;
            assert_eq!(list["items"].as_array().unwrap().len(), entries, "{query}: {list}");
            let (_, _, sheet) = text(&server, &format!("{base}/export?{query}"), &session).await;
            assert_eq!(sheet.lines().count(), entries + 1, "{query}: {sheet}");
        }
    }

    async fn the_same_top_up_within_a_day_is_asked_about_first(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let id = server.made.workspace_id.to_string();
        let pay_by = async |session: &Session, reference: &str, more: &[(&str, &str)]| {
            let own = [("workspace", id.as_str()), ("amount_usd", "25"), ("reference", reference)];
            send(&server, "top_up", &form(&[&own, more].concat()), Some(session)).await
        };
        let pay = async |reference: &str, more: &[(&str, &str)]| pay_by(&session, reference, more).await;
        assert_eq!(browser::became(&pay("INV-7", &[]).await), "done");
        assert_eq!(browser::became(&pay("INV-8", &[]).await), "done", "another invoice");
        let asked = pay(" INV-7 ", &[("later", "1")]).await;
        assert_eq!((browser::became(&asked).as_str(), server.balance().await.as_str()), ("back", "150"));
        let (_, _, html) = text(&server, &format!("/w/{id}/billing"), &session.with_flash(&asked)).await;
        for part in ["Nothing was added now", "href=\"#again\"", "name=\"again\"", "value=\"25\""] {
            assert!(html.contains(part), "{part}: {html}");
        }
        assert_eq!(browser::became(&pay("INV-7", &[("again", "yes")]).await), "done");
        server.clock.advance(DAY + 1);
        let tomorrow = Session::begin(&server, "ada@example.com").await;
        assert_eq!(browser::became(&pay_by(&tomorrow, "INV-7", &[]).await), "done", "a day later it is no slip");
        let (status, _) = server.rest_json(Method::POST, "/top-ups", Some(json!({ "amount_usd": 25, "reference": "INV-7" }))).await;
        assert_eq!((status, server.balance().await.as_str()), (StatusCode::CREATED, "225"), "programs are not asked");
    }

    async fn an_allowance_is_set_by_a_form_and_shown(on) {
        let server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let id = server.made.workspace_id.to_string();
        let body = form(&[("workspace", &id), ("allowance_usd", "250")]);
        assert_eq!(browser::became(&send(&server, "set_allowance", &body, Some(&session)).await), "done");
        let (_, _, html) = text(&server, &format!("/w/{id}/billing?kind=top_up"), &session).await;
        assert!(html.contains("brought up to $250.00") && html.contains("value=\"250\""), "{html}");
        let wrong = form(&[("workspace", &id), ("allowance_usd", "-1")]);
        assert_eq!(browser::became(&send(&server, "set_allowance", &wrong, Some(&session)).await), "back");
        assert_eq!(server.engine.allowance(&server.admin().await).await.unwrap().unwrap().to_string(), "250");
    }

    async fn who_may_not_read_billing_sees_spend_but_no_balance(on) {
        let server = TestServer::start(on).await;
        used(&server).await;
        let viewer = browser::session_of(&server, Role::Viewer).await;
        let (_, _, html) = text(&server, "/", &viewer).await;
        assert!(html.contains("$0.084") && !html.contains("99.916"), "{html}");
        assert!(html.contains("<td class=\"num\">–</td><td></td></tr></tfoot>"), "no sum of what nobody may know: {html}");
        let overview = format!("/w/{}", server.made.workspace_id);
        let (_, _, html) = text(&server, &overview, &viewer).await;
        assert!(html.contains("Spent this month") && !html.contains("99.916") && !html.contains("Runs out"), "{html}");
        let (_, _, sheet) = text(&server, "/workspaces/export", &viewer).await;
        assert!(sheet.contains("0.084") && !sheet.contains("99.916"), "{sheet}");
        let admin = Session::begin(&server, "ada@example.com").await;
        for page in ["/", &overview] {
            let (_, _, html) = text(&server, page, &admin).await;
            assert!(html.contains("$99.916"), "{html}");
        }
    }

    async fn a_balance_of_nothing_is_used_up(on) {
        let server = TestServer::with_money(on, "0.042").await;
        server.mcp().image().await;
        let session = Session::begin(&server, "ada@example.com").await;
        let (_, _, html) = text(&server, &format!("/w/{}", server.made.workspace_id), &session).await;
        assert!(html.contains("<dd>used up</dd>") && html.contains("The balance is used up."), "{html}");
        let (_, _, html) = text(&server, "/", &session).await;
        assert!(html.contains("<td class=\"num\">used up</td>") && html.contains(">Total</th>"), "{html}");
        let (_, _, sheet) = text(&server, "/workspaces/export", &session).await;
        assert!(sheet.contains(",runs_out_on,alerts,state\r\n"), "{sheet}");
        assert!(sheet.contains(",0,2026-10-14,") && sheet.ends_with(",ok\r\n"), "{sheet}");
    }

    async fn totals_say_of_how_many_workspaces_they_are(on) {
        let mut server = TestServer::start(on).await;
        let session = Session::begin(&server, "ada@example.com").await;
        let brand = form(&[("workspace_name", "Brand"), ("region", "us-east-1")]);
        assert_eq!(browser::became(&send(&server, "create_workspace", &brand, Some(&session)).await), "done");
        server.base = server.second_node(|config| config.cells.retain(|cell| cell.name == "us")).await;
        let (_, _, html) = text(&server, "/", &session).await;
        assert!(html.contains("Total of 1 of 2 workspaces") && html.contains("served by another node"), "{html}");
        let (_, _, sheet) = text(&server, "/workspaces/export", &session).await;
        let of = |name: &str| sheet.lines().find(|line| line.contains(name)).unwrap();
        assert!(of(",Growth,").ends_with(",Growth,eu-west-1,,,,,,,,,elsewhere") && of(",Brand,").ends_with(",ok"), "{sheet}");
    }

    async fn what_is_wrong_is_told_on_every_page_and_by_right(on) {
        let server = TestServer::with_money(on, "0.1").await;
        used(&server).await;
        let (admin, viewer) = (Session::begin(&server, "ada@example.com").await, browser::session_of(&server, Role::Viewer).await);
        let base = format!("/w/{}", server.made.workspace_id);
        for session in [&admin, &viewer] {
            let (_, _, html) = text(&server, "/", session).await;
            assert!(html.contains(&format!("href=\"{base}#notices\"")) && html.contains(">spend</a>"), "{html}");
            let (_, _, html) = text(&server, &format!("{base}/usage"), session).await;
            assert!(html.contains("class=\"alarm warn\"") && html.contains("1 notice<"), "{html}");
        }
        let caps = serde_json::from_value(json!({ "floor_usd": 50 })).unwrap();
        server.engine.set_caps(&server.admin().await, &caps).await.unwrap();
        let (_, _, html) = text(&server, &format!("{base}/audit"), &admin).await;
        assert!(html.contains("2 notices<"), "{html}");
        let (_, _, html) = text(&server, &format!("{base}/audit"), &viewer).await;
        assert!(html.contains("1 notice<"), "a Viewer reads no balance: {html}");
        let (_, _, html) = text(&server, &base, &admin).await;
        assert!(html.contains("id=\"notices\"") && !html.contains("class=\"alarm"), "the overview tells it itself: {html}");
    }
}
