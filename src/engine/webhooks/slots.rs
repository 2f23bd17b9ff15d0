//! How many endpoints a node serves at a time: bounded in all, since each holds a batch in memory, and for each workspace,
//! so that the hanging receivers of one leave room for everybody else's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::domain::ids::WorkspaceId;

/// Endpoints that a node serves at a time.
const IN_ALL: usize = 256;
/// Those of one workspace among them.
const OF_ONE: usize = 32;

/// The slots of one cell. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Slots(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    taken: Mutex<HashMap<WorkspaceId, usize>>,
    freed: Notify,
}

/// A slot that is taken; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Slots,
    workspace: WorkspaceId,
}

impl Slots {
    /// Takes a slot for an endpoint of this workspace; none where no more are to be had.
    pub(super) fn take(&self, workspace: &WorkspaceId) -> Option<Slot> {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (taken.values().sum::<usize>(), taken.get(workspace).copied().unwrap_or_default());
        if all >= IN_ALL || own >= OF_ONE {
            return None;
        }
        taken.insert(workspace.clone(), own + 1);
        Some(Slot { slots: self.clone(), workspace: workspace.clone() })
    }

    /// Waits until a slot is given back.
    pub(super) async fn freed(&self) {
        self.0.freed.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.workspace) {
            Some(own) if *own > 1 => *own -= 1,
            _ => drop(taken.remove(&self.workspace)),
        }
        self.slots.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_workspace_cannot_take_every_slot_and_what_is_dropped_is_free() {
        let (slots, [one, other]) =
            (Slots::default(), ["ws_000001", "ws_000002"].map(|id| id.parse().unwrap()));
        let mut own: Vec<Slot> = (0..OF_ONE).map(|_| slots.take(&one).unwrap()).collect();
        assert!(slots.take(&one).is_none() && slots.take(&other).is_some());
        own.pop();
        assert!(slots.take(&one).is_some());
        let many: Vec<Slot> =
            (0..).map_while(|n| slots.take(&format!("ws_many{:04}", n / OF_ONE).parse().unwrap())).collect();
        assert_eq!(own.len() + many.len(), IN_ALL);
        drop((own, many));
        assert!(slots.0.taken.lock().unwrap().is_empty());
    }
}
