//! What becomes of a workspace's people: who is let in, and what is left of who goes.

use crate::domain::access::Role;
use crate::domain::alerts::AlertSettings;
use crate::domain::ids::UserId;
use crate::engine::access::bootstrap::Bootstrap;
use crate::engine::access::scope::Origin;
use crate::engine::alerts::AlertChange;
use crate::engine::error::Error;
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
