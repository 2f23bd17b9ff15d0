//! The rules one by one, and random sequences against a model that only keeps totals.

use proptest::prelude::*;

use super::super::ids::Id;
use super::*;

const NOW: Time = Time(1_790_000_000_000_000);

fn request(n: u8) -> RequestId {
    RequestId::new(1, [n; 10])
}

fn agent(n: u8) -> AgentId {
    AgentId::new(1, [n; 10])
}

fn books(available: i64) -> Books {
    let account = Account {
        available: Usd::from_micros(available),
        reserved: Usd::ZERO,
        caps: Caps::default(),
        standing: Standing::Active,
    };
    Books { account, tallies: HashMap::new(), holds: HashMap::new(), keys: HashMap::new() }
}

fn reserve(n: u8, amount: i64) -> Reserve {
    Reserve {
        request_id: request(n),
        agent_id: agent(0),
        amount: Usd::from_micros(amount),
        limits: AgentCaps::default(),
        preflight_at: None,
        key: None,
        deadline: NOW.plus(MINUTE),
        asked: Asked::default(),
    }
}

fn settle(n: u8, cost: i64) -> Command {
    Command::Settle { request_id: request(n), cost: Usd::from_micros(cost) }
}

fn run(books: &mut Books, command: Command) -> Result<Posting, Refusal> {
    decide(books, &command, NOW)
}

#[test]
fn a_balance_for_two_calls_pays_two() {
    let mut books = books(100);
    assert_eq!(run(&mut books, Command::Reserve(reserve(1, 50).into())), Ok(Posting::Reserved));
    assert_eq!(run(&mut books, Command::Reserve(reserve(2, 50).into())), Ok(Posting::Reserved));
    let refused = run(&mut books, Command::Reserve(reserve(3, 1).into()));
    assert_eq!(
        refused,
        Err(Refusal::InsufficientCredits { required: Usd::from_micros(1), available: Usd::ZERO })
    );
    assert_eq!(run(&mut books, settle(1, 50)), Ok(Posting::Settled { charged: Usd::from_micros(50) }));
    assert_eq!(
        run(&mut books, Command::Release { request_id: request(2) }),
        Ok(Posting::Released { amount: Usd::from_micros(50) })
    );
    assert_eq!((books.account.available.micros(), books.account.reserved.micros()), (50, 0));
}

#[test]
fn a_reservation_ends_once_and_never_charges_more_than_it_holds() {
    let mut books = books(100);
    run(&mut books, Command::Reserve(reserve(1, 40).into())).unwrap();
    assert_eq!(run(&mut books, settle(1, 90)), Ok(Posting::Settled { charged: Usd::from_micros(40) }));
    assert_eq!(run(&mut books, settle(1, 40)), Ok(Posting::AlreadyEnded));
    assert_eq!(run(&mut books, Command::Release { request_id: request(1) }), Ok(Posting::AlreadyEnded));
    run(&mut books, Command::Reserve(reserve(2, 40).into())).unwrap();
    run(&mut books, Command::Release { request_id: request(2) }).unwrap();
    assert_eq!(run(&mut books, settle(2, 40)), Ok(Posting::Late));
    assert_eq!(books.account.available.micros(), 60);
    assert_eq!(run(&mut books, settle(9, 1)), Err(Refusal::UnknownReservation));
}

#[test]
fn each_cap_counts_reserved_money_and_says_when_it_begins_anew() {
    let cap = |limits: AgentCaps, month: Option<i64>| {
        let mut books = books(1_000);
        books.account.caps.workspace_month_usd = month.map(Usd::from_micros);
        let mut first = reserve(1, 60);
        first.limits = limits;
        run(&mut books, Command::Reserve(first.into())).unwrap();
        let mut second = reserve(2, 50);
        second.limits = limits;
        match run(&mut books, Command::Reserve(second.into())) {
            Err(Refusal::CapExceeded { cap, used, resets_at, .. }) => (cap, used.micros(), resets_at),
            other => panic!("{other:?}"),
        }
    };
    let limit = Some(Usd::from_micros(100));
    let day = AgentCaps { day_usd: limit, ..AgentCaps::default() };
    let month = AgentCaps { month_usd: limit, ..AgentCaps::default() };
    assert_eq!(cap(day, None), (CapKind::AgentDay, 60, Some(NOW.next_day())));
    assert_eq!(cap(month, None), (CapKind::AgentMonth, 60, Some(NOW.next_month())));
    assert_eq!(cap(AgentCaps::default(), Some(100)), (CapKind::WorkspaceMonth, 60, Some(NOW.next_month())));
}

#[test]
fn limits_per_call_and_preflight_come_before_the_balance() {
    let mut books = books(0);
    books.account.caps.call_usd = Some(Usd::dollars(7));
    books.account.caps.preflight_required = true;
    let ask = |books: &mut Books, dollars: i32, preflight_at| {
        let mut wanted = reserve(1, Usd::dollars(dollars).micros());
        wanted.preflight_at = preflight_at;
        run(books, Command::Reserve(wanted.into())).unwrap_err()
    };
    assert!(matches!(ask(&mut books, 8, None), Refusal::CapExceeded { cap: CapKind::Call, .. }));
    assert!(matches!(ask(&mut books, 6, None), Refusal::PreflightRequired { .. }));
    assert!(matches!(ask(&mut books, 6, Some(NOW.plus(-11 * MINUTE))), Refusal::PreflightRequired { .. }));
    assert!(matches!(ask(&mut books, 6, Some(NOW.plus(-9 * MINUTE))), Refusal::InsufficientCredits { .. }));
    assert!(matches!(ask(&mut books, 5, None), Refusal::InsufficientCredits { .. }));
}

#[test]
fn a_key_gives_the_first_answer_for_a_day_and_is_free_again_after_a_failure() {
    let mut books = books(1_000);
    let keyed = |n: u8, arguments: &str| {
        let mut wanted = reserve(n, 10);
        wanted.key = Some(Key { key: "k".into(), arguments: arguments.into() });
        Command::Reserve(wanted.into())
    };
    run(&mut books, keyed(1, "a")).unwrap();
    assert_eq!(run(&mut books, keyed(2, "a")), Ok(Posting::InProgress { request_id: request(1) }));
    assert_eq!(run(&mut books, keyed(2, "b")), Err(Refusal::Conflict));
    run(&mut books, Command::Release { request_id: request(1) }).unwrap();
    assert_eq!(run(&mut books, keyed(2, "a")), Ok(Posting::Reserved));
    run(&mut books, settle(2, 10)).unwrap();
    assert_eq!(books.keep_answer(&request(2), "{}"), Some("k".into()));
    let replay = Posting::Replay { request_id: request(2), answer: "{}".into() };
    assert_eq!(run(&mut books, keyed(3, "a")), Ok(replay));
    assert_eq!(decide(&mut books, &keyed(4, "b"), NOW.plus(KEY_WINDOW)), Ok(Posting::Reserved));
    assert_eq!(books.account.available.micros(), 980);
}

#[test]
fn a_suspended_workspace_reserves_nothing_and_a_top_up_is_more_than_nothing() {
    let mut books = books(100);
    books.account.standing = Standing::Suspended;
    assert_eq!(run(&mut books, Command::Reserve(reserve(1, 1).into())), Err(Refusal::Suspended));
    for amount in [0, -5, i64::MAX] {
        let command = Command::TopUp { amount: Usd::from_micros(amount) };
        assert_eq!(run(&mut books, command), Err(Refusal::AmountOutOfRange));
    }
}

fn any_command() -> impl Strategy<Value = Command> {
    let key = prop::option::of((0u8..3, 0u8..2));
    let reserving = (0u8..12, 0u8..2, 0i64..400, key).prop_map(|(n, who, amount, key)| {
        let mut wanted = reserve(n, amount);
        wanted.agent_id = agent(who);
        wanted.limits.day_usd = Some(Usd::from_micros(900));
        wanted.key = key.map(|(key, args)| Key { key: key.to_string(), arguments: args.to_string() });
        Command::Reserve(wanted.into())
    });
    prop_oneof![
        4 => reserving,
        3 => (0u8..12, 0i64..500).prop_map(|(n, cost)| settle(n, cost)),
        2 => (0u8..12).prop_map(|n| Command::Release { request_id: request(n) }),
        1 => (-10i64..500).prop_map(|amount| Command::TopUp { amount: Usd::from_micros(amount) }),
    ]
}

proptest! {
    /// Invariants 1, 2 and 4 of design §4 after each command of any sequence; a failure prints its seed.
    #[test]
    fn no_sequence_overdraws_or_loses_a_micro_dollar(commands in prop::collection::vec(any_command(), 1..120)) {
        let mut books = books(700);
        books.account.caps.workspace_month_usd = Some(Usd::from_micros(1_500));
        let (mut money_in, mut charged) = (700i64, 0i64);
        let mut ended = std::collections::HashSet::new();
        for command in commands {
            // A request id is used once in life; a repeat of it is another call's mistake, not the ledger's.
            if let Command::Reserve(wanted) = &command && books.holds.contains_key(&wanted.request_id) {
                continue;
            }
            let before = books.clone();
            match decide(&mut books, &command, NOW) {
                Ok(Posting::ToppedUp) => if let Command::TopUp { amount } = command { money_in += amount.micros() },
                Ok(Posting::Settled { charged: cost }) => {
                    charged += cost.micros();
                    if let Command::Settle { request_id, .. } = command { prop_assert!(ended.insert(request_id)) }
                }
                Ok(Posting::Released { .. }) => {
                    if let Command::Release { request_id } = command { prop_assert!(ended.insert(request_id)) }
                }
                Ok(Posting::Reserved) => {}
                Ok(_) | Err(_) => prop_assert_eq!(&before, &books),
            }
            let account = &books.account;
            prop_assert!(account.available >= Usd::ZERO && account.reserved >= Usd::ZERO);
            prop_assert_eq!(account.available.micros() + account.reserved.micros(), money_in - charged);
            let held: i64 = books.holds.values().filter(|h| h.state == HoldState::Held).map(|h| h.amount.micros()).sum();
            prop_assert_eq!(account.reserved.micros(), held);
            for (period, tally) in &books.tallies {
                let limit = if period.agent.is_none() { 1_500 } else { 900 };
                let daily_or_workspace = period.agent.is_none() || period.key.len() == 10;
                prop_assert!(!daily_or_workspace || tally.spent.micros() + tally.reserved.micros() <= limit);
            }
        }
    }
}
