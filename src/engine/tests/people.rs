//! What becomes of a workspace's people: who is let in, and what is left of who goes.

use crate::domain::access::Role;
use crate::domain::alerts::AlertSettings;
use crate::domain::ids::UserId;
use crate::domain::time::MINUTE;
use crate::engine::access::bootstrap::Bootstrap;
use crate::engine::access::scope::Origin;
use crate::engine::alerts::AlertChange;
use crate::engine::error::Error;
use crate::engine::store::workspaces;
use crate::engine::tests::faults::Faulty;
use crate::engine::tests::killed::killed_after;
use crate::engine::tests::mail_server::MailServer;
use crate::engine::tests::support::{Databases, World, add_member, bootstrap, both_engines, mails};

const PASSWORD: &str = "a long enough passphrase";

/// The token behind `link` in the mail to this address.
async fn mailed(world: &World, to: &str, link: &str) -> String {
    let mails = mails(world).await;
    let mail = mails.iter().find(|mail| mail.contains(&format!("To: {to}")) && mail.contains(link)).unwrap();
    // A “=” stands as “=3D” in a mail (RFC 2045 §6.7).
    let rest = mail.split(link).nth(1).unwrap().trim_start_matches("3D");
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// A world whose mail goes to a server that can refuse it.
async fn with_mail_server(on: Databases) -> (World, MailServer) {
    let server = MailServer::start().await;
    let url = server.url.clone();
    (World::with_config(on, "1", |config| config.mail.smtp_url = Some(url)).await, server)
}

/// A new member of this role.
async fn member(world: &World, email: &str, role: Role) -> UserId {
    add_member(world, email, role).await;
    let members = world.engine.members(&world.admin().await).await.unwrap();
    members.into_iter().find(|member| member.email == email).unwrap().user_id
}

/// How often the log tells that somebody left.
async fn left(world: &World) -> usize {
    world.acts().await.iter().filter(|act| act.event.as_deref() == Some("member.left")).count()
}

/// Gives a person another address.
async fn move_to(world: &World, user: &UserId, email: &str) {
    world.engine.ask_for_email(user, email, PASSWORD).await.unwrap();
    let token = mailed(world, email, "/account?confirm=").await;
    world.engine.take_email(user, &token).await.unwrap();
}

both_engines! {
    async fn an_invitation_does_not_change_a_members_role(on) {
        let world = World::with_money(on, "1").await;
        let (me, admin) = (world.made.user_id.clone(), world.admin().await);
        world.engine.invite(&admin, "ada@new.example.com", "viewer").await.unwrap();
        let token = mailed(&world, "ada@new.example.com", "/invite/").await;
        move_to(&world, &me, "ada@new.example.com").await;
        let origin = Origin::new(world.engine.new_request_id(), None);
        let joined = world.engine.accept_invitation(&token, Some(&me), None, origin).await;
        assert!(matches!(&joined, Err(Error::Conflict(why)) if why.contains("already")), "{joined:?}");
        let members = world.engine.members(&admin).await.unwrap();
        assert_eq!(members.iter().map(|member| member.role).collect::<Vec<_>>(), [Role::Admin], "the last one stays");
    }

    async fn who_got_no_mail_is_not_invited_and_an_older_link_works_on(on) {
        let (world, server) = with_mail_server(on).await;
        let admin = world.admin().await;
        server.refuse(true);
        let refused = world.engine.invite(&admin, "grace@example.com", "viewer").await;
        assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("The mail to grace@example.com did not go out")), "{refused:?}");
        assert_eq!(world.engine.invitations(&admin).await.unwrap().len(), 0);
        let (open, token) = world.engine.make_invitation(&admin, "grace@example.com", "viewer").await.unwrap();
        assert!(world.engine.resend_invitation(&admin, &open.id).await.is_err());
        assert_eq!(world.engine.invitation(&token).await.unwrap().email, "grace@example.com");
        server.refuse(false);
        world.engine.resend_invitation(&admin, &open.id).await.unwrap();
        assert!(matches!(world.engine.invitation(&token).await, Err(Error::Ended(_))), "its replacement went out");
        assert_eq!((server.taken(), world.engine.invitations(&admin).await.unwrap().len()), (1, 1));
        let told = world.acts().await.into_iter().filter(|act| act.event.as_deref() == Some("member.invited"));
        assert_eq!(told.count(), 2, "what did not go out is not in the log");
    }

    async fn a_list_that_is_broken_off_goes_on_where_it_was(on) {
        let (world, server) = with_mail_server(on).await;
        let admin = world.admin().await;
        let list = "email,role\na@example.com,viewer\nb@example.com,admin\nc@example.com,developer\nd@example.com\n";
        server.refuse_only(Some("c@example.com"));
        let done = world.engine.invite_all(&admin, list).await.unwrap();
        assert_eq!(done.people, ["a@example.com", "b@example.com"]);
        let rest = done.rest.unwrap();
        assert_eq!(rest.list, "c@example.com,developer\nd@example.com,viewer\n");
        assert!(rest.why.to_string().contains("c@example.com"), "{}", rest.why);
        assert!(world.engine.invite_all(&admin, &rest.list).await.is_err(), "not even the first");
        assert_eq!((server.taken(), world.engine.invitations(&admin).await.unwrap().len()), (2, 2));
        server.refuse_only(None);
        let done = world.engine.invite_all(&admin, &rest.list).await.unwrap();
        assert_eq!((done.people.len(), done.rest), (2, None));
        assert_eq!((server.taken(), world.engine.invitations(&admin).await.unwrap().len()), (4, 4));
    }

    async fn nothing_is_left_of_a_person_under_any_address(on) {
        let world = World::with_money(on, "1").await;
        add_member(&world, "grace@example.com", Role::Developer).await;
        let admin = world.admin().await;
        let grace = world.engine.members(&admin).await.unwrap().into_iter().find(|member| member.email == "grace@example.com").unwrap().user_id;
        world.engine.set_name(&grace, "Grace Hopper").await.unwrap();
        // In a workspace that she does not belong to, she gets alerts and is invited.
        let other = world.engine.bootstrap(Bootstrap { workspace: "Other".into(), ..bootstrap("1") }).await.unwrap();
        let theirs = World { made: other, engine: world.engine.clone(), clock: world.clock.clone(), _databases: Databases::sqlite() };
        let recipients = ["grace@example.com", "grace@new.example.com", "ops@example.com"].map(str::to_owned).to_vec();
        let settings = AlertSettings { recipients, ..AlertSettings::default() };
        theirs.engine.set_alerts(&theirs.admin().await, AlertChange { settings, slack_url: None }).await.unwrap();
        theirs.engine.invite(&theirs.admin().await, "grace@example.com", "viewer").await.unwrap();
        move_to(&world, &grace, "grace@new.example.com").await;
        assert!(!world.tables_with("grace@example.com").await.is_empty() && !world.tables_with("Grace Hopper").await.is_empty());

        let origin = Origin::new(world.engine.new_request_id(), None);
        world.engine.delete_account(&grace, PASSWORD, origin).await.unwrap();
        for text in ["grace@example.com", "grace@new.example.com", "Grace Hopper"] {
            assert_eq!(world.places_with(text).await, Vec::<String>::new(), "{text}");
            assert!(mails(&world).await.iter().all(|mail| !mail.contains(text)), "{text}");
        }
        let left = theirs.engine.alerts(&theirs.admin().await).await.unwrap().settings.recipients;
        assert_eq!(left, ["ops@example.com"]);
    }

    async fn of_two_admins_who_leave_at_once_one_stays(on) {
        let world = World::with_money(on, "1").await;
        let (ada, grace) = (world.made.user_id.clone(), member(&world, "grace@example.com", Role::Admin).await);
        let origin = || Origin::new(world.engine.new_request_id(), None);
        let (first, second) = tokio::join!(
            world.engine.delete_account(&ada, PASSWORD, origin()),
            world.engine.delete_account(&grace, PASSWORD, origin()),
        );
        assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
        let refused = first.err().or(second.err());
        assert!(matches!(&refused, Some(Error::Conflict(why)) if why.contains("last Admin")), "{refused:?}");
        let members = workspaces::members(&world.engine.0.control, &world.made.workspace_id).await.unwrap();
        assert_eq!(members.iter().map(|member| member.role).collect::<Vec<_>>(), [Role::Admin]);
        world.assert_whole().await;
    }

    async fn who_leaves_while_a_bucket_is_down_is_gone_at_once_and_marked_later(on) {
        let (eu, us) = (Faulty::new(), Faulty::new());
        let world = World::with_buckets(on, "1", &[("eu", &eu), ("us", &us)]).await;
        let grace = member(&world, "grace@example.com", Role::Developer).await;
        eu.fail_after(0);
        let origin = Origin::new(world.engine.new_request_id(), None);
        world.engine.delete_account(&grace, PASSWORD, origin).await.unwrap();
        eu.mend();
        assert_eq!((world.engine.user(&grace).await.unwrap(), left(&world).await), (None, 1));
        let marks = async || {
            let of = |keys: Vec<String>| keys.iter().filter(|key| key.starts_with("erased/users/")).count();
            (of(eu.keys().await), of(us.keys().await))
        };
        assert_eq!(marks().await, (0, 1), "one that answers does not wait");
        world.engine.forget_leaving().await.unwrap();
        assert_eq!((marks().await, left(&world).await), ((1, 1), 1));
        assert_eq!(world.tables_with("grace@example.com").await, Vec::<String>::new());
    }

    async fn who_leaves_is_gone_whole_and_logged_once_whenever_the_node_dies(on) {
        let world = World::with_money(on, "1").await;
        let grace = member(&world, "grace@example.com", Role::Developer).await;
        let settings = AlertSettings { recipients: vec!["grace@example.com".into()], ..AlertSettings::default() };
        world.engine.set_alerts(&world.admin().await, AlertChange { settings, slack_url: None }).await.unwrap();
        let mut polls = 1;
        loop {
            let origin = Origin::new(world.engine.new_request_id(), None);
            let ended = killed_after(polls, world.engine.delete_account(&grace, PASSWORD, origin)).await;
            // Once the person is gone, there is nobody to delete.
            if ended.is_some() {
                break;
            }
            world.engine.forget_cached();
            polls += polls / 4 + 1;
        }
        world.clock.advance(3 * MINUTE);
        world.engine.write_pending_acts().await.unwrap();
        world.engine.forget_leaving().await.unwrap();
        assert_eq!((world.engine.user(&grace).await.unwrap(), left(&world).await), (None, 1), "after {polls} polls");
        assert_eq!(world.tables_with("grace@example.com").await, Vec::<String>::new());
        world.assert_whole().await;
    }

    async fn a_former_address_is_its_new_owners_own(on) {
        let world = World::with_money(on, "1").await;
        add_member(&world, "post@example.com", Role::Developer).await;
        let admin = world.admin().await;
        let first = world.engine.members(&admin).await.unwrap().into_iter().find(|member| member.email == "post@example.com").unwrap().user_id;
        move_to(&world, &first, "first@example.com").await;
        std::fs::remove_dir_all(world.engine.config().data_dir.join("mail")).unwrap();
        add_member(&world, "post@example.com", Role::Viewer).await;
        let settings = AlertSettings { recipients: vec!["post@example.com".into()], ..AlertSettings::default() };
        world.engine.set_alerts(&admin, AlertChange { settings, slack_url: None }).await.unwrap();
        let origin = Origin::new(world.engine.new_request_id(), None);
        world.engine.delete_account(&first, PASSWORD, origin).await.unwrap();
        assert_eq!(world.engine.alerts(&admin).await.unwrap().settings.recipients, ["post@example.com"]);
        assert!(world.engine.sign_in("post@example.com", PASSWORD, Origin::new(world.engine.new_request_id(), None)).await.is_ok());
    }
}
