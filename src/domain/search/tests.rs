use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::*;

fn parsed(text: &str) -> Search {
    text.parse().unwrap_or_else(|error: QueryError| panic!("{text}: {error}"))
}

/// The text under the error and its sentence.
fn wrong(text: &str) -> (String, String) {
    let error = text.parse::<Search>().unwrap_err();
    (text[error.span].to_owned(), error.message)
}

fn facts() -> Facts<'static> {
    Facts {
        ts: Time::parse("2026-04-29T14:22:08.413Z").unwrap(),
        user_id: "agent.growth-bot",
        tool: Some("generate_image"),
        model: Some("flux-pro-1.1"),
        request_id: "req_1",
        prompt_hash: Some("sha256:9f1c"),
        cost: Usd::from_micros(42_000),
        region: Region::EuWest1,
        code: None,
        event: None,
        status: Status::Paid,
    }
}

#[test]
fn each_qualifier_finds_what_it_names() {
    let now = facts().ts.plus(2 * DAY);
    let found = [
        "",
        "agent:growth-bot",
        "agent:agent.growth-bot",
        "agent:other,growth-*",
        "user:agent.growth-bot",
        "tool:generate_image model:flux-pro-1.1",
        "cost:>0.04 region:eu-west-1",
        "cost:0.042",
        "cost:=$0.042",
        "cost:0.01..0.042",
        "cost:<=0.042",
        "after:2026-04-29 before:2026-04-30",
        "after:2026-04-29T14:22:08.413Z",
        "after:3d -after:1d",
        "req_1",
        "sha256:9f1c",
        "hash:\"sha256:9f1c\"",
        "status:free,paid -status:refused",
        "-event:member.invited -code:tool_denied",
    ];
    for text in found {
        assert!(parsed(text).matches(&facts(), now), "{text}");
    }
    let missed = [
        "agent:growth",
        "-agent:growth-bot",
        "tool:generate_video",
        "cost:>0.042",
        "cost:<0.042",
        "region:us-east-1",
        "after:2026-04-30",
        "before:3d",
        "status:free",
        "event:*",
        "-model:flux*",
    ];
    for text in missed {
        assert!(!parsed(text).matches(&facts(), now), "{text}");
    }
}

#[test]
fn an_error_points_at_what_is_wrong() {
    for (text, at) in [
        ("tool:x modle:y", "modle:"),
        ("tool:x cost:>abc", ">abc"),
        ("cost:2..1", "2..1"),
        ("after:yesterday", "yesterday"),
        ("foo", "foo"),
        ("tool:", "tool:"),
        ("tool:a,,b", ","),
        ("model:\"a b", "\"a b"),
        ("status:maybe", "maybe"),
        ("region:eu-west-1,mars", "mars"),
        ("tool:a tool:b", "tool:b"),
        ("hash:abc", "abc"),
        ("request:req_*", "req_*"),
        ("ä:1", "ä:"),
        ("tool:x -", ""),
    ] {
        let (pointed, sentence) = wrong(text);
        assert_eq!(pointed, at, "{text}: {sentence}");
        assert!(sentence.ends_with(['.', '?']), "{sentence}");
    }
    assert!(wrong("modle:y").1.contains("Did you mean model:?"));
}

#[test]
fn everything_that_the_starters_ask_is_understood() {
    for starter in STARTERS {
        assert!(!parsed(starter.query).is_empty(), "{}", starter.name);
        assert!(["calls", "admin", "refused"].contains(&starter.tab));
    }
}

fn values() -> impl Strategy<Value = Vec<String>> {
    vec("[a-z \",.\\\\äé-]{0,8}[a-z]", 1..4)
}

fn field() -> impl Strategy<Value = Condition> {
    let free =
        [Field::Agent, Field::User, Field::Tool, Field::Model, Field::Code, Field::Event, Field::Request];
    (select(free.to_vec()), values()).prop_map(|(field, values)| {
        let kept = |value: String| value.strip_prefix("agent.").map_or(value.clone(), str::to_owned);
        Condition::OneOf(field, values.into_iter().map(kept).collect())
    })
}

fn condition() -> impl Strategy<Value = Condition> {
    let micros = 0i64..5_000_000_000;
    let moment = prop_oneof![
        (0i64..4_000_000_000_000_000).prop_map(|micros| Moment::At(Time(micros))),
        (0i64..5_000_000).prop_map(|minutes| Moment::Ago(minutes * MINUTE)),
    ];
    prop_oneof![
        field(),
        Just(Condition::OneOf(Field::Hash, vec!["sha256:9f1c".into()])),
        vec(select(Status::ALL.to_vec()), 1..3).prop_map(Condition::Status),
        (option::of(micros.clone()), 0i64..1_000_000, any::<bool>()).prop_map(|(least, more, open)| {
            let least = least.map(Usd::from_micros);
            let most = least.map_or(0, Usd::micros) + more;
            let most = (!open || least.is_none()).then(|| Usd::from_micros(most));
            Condition::Cost(least, most)
        }),
        moment.clone().prop_map(Condition::After),
        moment.prop_map(Condition::Before),
    ]
}

proptest! {
    #[test]
    fn a_search_reads_back_from_its_text(terms in vec((any::<bool>(), condition()), 0..6)) {
        let mut search = Search::default();
        for (index, (negated, condition)) in terms.into_iter().enumerate() {
            // Only exclusions may name a field twice.
            search.terms.push(Term { negated: negated || index > 0, condition });
        }
        let text = search.to_string();
        prop_assert_eq!(text.parse::<Search>(), Ok(search), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic_and_every_error_points_into_the_text(text in "[a-z0-9:,.\"\\\\ <>=$é*-]{0,60}|(-?(tool|cost|after|status|hash|region|agent):.{0,9} ?){0,5}") {
        if let Err(error) = text.parse::<Search>() {
            prop_assert!(text.get(error.span.clone()).is_some(), "{:?} {:?}", text, error);
        }
    }
}
