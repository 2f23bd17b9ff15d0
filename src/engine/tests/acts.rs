//! Acts on the directory are in the workspace's log once, whenever the node that does them dies.

use serde_json::{Value, json};

use crate::domain::access::{Permission, Role};
use crate::domain::time::{MINUTE, Time};
use crate::engine::access::scope::{Origin, Principal};
use crate::engine::calls::providers::Providers;
use crate::engine::store::{pending_acts, workspaces};
use crate::engine::tests::killed::killed_after;
use crate::engine::tests::support::{Databases, World, add_member, both_engines};

/// How often a run waits depends on the machine; most of these are over before they are killed.
const MOST: usize = 40;

/// What the log says of one kind of acts, the oldest first.
pub(super) async fn logged(world: &World, event: &str) -> Vec<Value> {
    let of_kind = world.acts().await.into_iter().filter(|act| act.event.as_deref() == Some(event));
    of_kind.filter_map(|act| act.data).collect()
}

/// What other nodes do once they may.
pub(super) async fn follow(world: &World) -> usize {
    world.clock.advance(3 * MINUTE);
    let written = world.engine.write_pending_acts().await.unwrap();
    let left = pending_acts::noted_before(&world.engine.0.control, Time(i64::MAX)).await.unwrap();
    assert_eq!(left, [], "nothing is left behind");
    written
}

both_engines! {
    async fn each_invitation_is_logged_once_whenever_its_node_dies(on) {
        let world = World::with_money(on, "1").await;
        let mut killed = 0;
        for polls in 1..MOST {
            let (scope, email) = (world.admin().await, format!("person-{polls}@example.com"));
            killed += usize::from(killed_after(polls, world.engine.make_invitation(&scope, &email, "viewer")).await.is_none());
        }
        assert!(killed > 0);
        // What a database still works on when its client is gone ends with the node.
        world.engine.shutdown().await;
        let world = World { engine: world._databases.node(&world.clock, Providers::default()).await, ..world };
        let written = follow(&world).await;
        let open = world.engine.invitations(&world.admin().await).await.unwrap();
        let mut made: Vec<Value> = open.into_iter().map(|open| json!(open.id)).collect();
        let mut told: Vec<Value> =
            logged(&world, "member.invited").await.into_iter().map(|data| data["invitation_id"].clone()).collect();
        made.sort_by_key(Value::to_string);
        told.sort_by_key(Value::to_string);
        assert_eq!(told, made);
        assert!(made.len() > 1, "most were over before they were killed");
        assert!(written <= made.len());
        world.assert_whole().await;
    }

    async fn an_act_whose_node_died_before_its_log_is_written_by_another(on) {
        let world = World::with_money(on, "1").await;
        add_member(&world, "vera@example.com", Role::Viewer).await;
        let members = world.engine.members(&world.admin().await).await.unwrap();
        let user = members.into_iter().find(|member| member.role == Role::Viewer).unwrap().user_id;
        let (scope, data) = (world.admin().await, json!({ "user_id": user, "from": "viewer", "to": "developer" }));
        let act = world.engine.note_act(&scope, "member.role_changed", data.clone()).await.unwrap();
        let control = &world.engine.0.control;
        assert!(workspaces::change_member(control, &user, Some(Role::Developer), &act).await.unwrap());
        assert_eq!(world.engine.write_pending_acts().await.unwrap(), 0, "its node may still be at it");
        assert_eq!(follow(&world).await, 1);
        assert_eq!(logged(&world, "member.role_changed").await, [data]);
        assert_eq!(follow(&world).await, 0);
    }

    async fn a_removed_persons_keys_end_although_the_node_died(on) {
        let world = World::with_money(on, "1").await;
        add_member(&world, "dan@example.com", Role::Developer).await;
        let members = world.engine.members(&world.admin().await).await.unwrap();
        let user = members.into_iter().find(|member| member.role == Role::Developer).unwrap().user_id;
        let origin = Origin::new(world.engine.new_request_id(), None);
        let dan = Principal::User(user.clone());
        let dan = world.engine.scope(&dan, &world.made.workspace_id, Permission::ChangeAgents, origin).await.unwrap();
        let key = world.engine.create_key(&dan, "nightly", "viewer", None).await.unwrap().key;
        let (scope, data) = (world.admin().await, json!({ "user_id": user, "role": "developer" }));
        let act = world.engine.note_act(&scope, "member.removed", data).await.unwrap();
        assert!(workspaces::change_member(&world.engine.0.control, &user, None, &act).await.unwrap());
        assert!(world.engine.key_principal(&key).await.unwrap().is_some(), "its node did not come so far");
        assert_eq!(follow(&world).await, 1);
        assert!(world.engine.key_principal(&key).await.unwrap().is_none());
        assert!(world.engine.key_principal(&world.made.api_key).await.unwrap().is_some(), "others' keys stay");
        let ended = world.engine.keys(&scope).await.unwrap().into_iter().find(|key| key.made_by == user).unwrap().ended_at;
        assert_eq!(ended, Some(act.made_at));
    }

    async fn what_was_refused_leaves_no_act(on) {
        let world = World::with_money(on, "1").await;
        let me = &world.made.user_id;
        assert!(world.engine.change_role(&world.admin().await, me, "viewer").await.is_err(), "the last Admin");
        assert!(world.engine.remove_member(&world.admin().await, me).await.is_err());
        assert_eq!(follow(&world).await, 0);
    }
}
