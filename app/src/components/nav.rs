//! The places of a workspace, for navigation, breadcrumbs and the command palette.

use agentframer::domain::access::{Permission, Role};

/// A place in a workspace: its path below the workspace, name, right and sign.
pub struct Place(pub &'static str, pub &'static str, pub Permission, pub &'static str);

/// What happens.
pub const WATCH: [Place; 4] = [
    Place("", "Overview", Permission::ReadWorkspace, "M2 7l6-5 6 5v7H2z"),
    Place("/usage", "Usage", Permission::ReadActivity, "M2 14V9M6 14V5M10 14V8M14 14V2"),
    Place("/audit", "Audit log", Permission::ReadActivity, "M3 4h10M3 8h10M3 12h7"),
    Place("/generations", "Generations", Permission::ReadActivity, "M2 3h12v10H2zM2 11l4-4 4 4 2-2 2 2"),
];
/// Who may do what.
pub const CONTROL: [Place; 5] = [
    Place("/agents", "Agents", Permission::ReadAgents, "M4 6h8v7H4zM8 6V3M2 9v2M14 9v2"),
    Place("/caps", "Caps and alerts", Permission::ReadBilling, "M2 12a6 6 0 1 1 12 0M8 12l3-4"),
    Place(
        "/webhooks",
        "Webhooks",
        Permission::ReadWebhooks,
        "M5 10a3 3 0 1 0 3 3M8 2a3 3 0 0 1 2 5l2 4M5 10l3-5M12 11a2 2 0 1 1-1 3H8",
    ),
    Place("/models", "Models", Permission::ReadWorkspace, "M3 3h5v11H3zM8 3h5v11H8z"),
    Place(
        "/members",
        "Members",
        Permission::ReadMembers,
        "M8 8a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM3 14c0-3 2-4 5-4s5 1 5 4",
    ),
];
/// The workspace itself.
pub const ABOUT: [Place; 1] =
    [Place("/settings", "Settings", Permission::ReadSettings, "M8 5v6M5 8h6M8 1v2M8 13v2M1 8h2M13 8h2")];
/// What it costs.
pub const MONEY: [Place; 1] = [Place("/billing", "Billing", Permission::ReadBilling, "M2 4h12v8H2zM2 7h12")];
/// Where it lives and how it is erased.
pub const DATA: [Place; 3] = [
    Place(
        "/retention",
        "Retention",
        Permission::ReadSettings,
        "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5v3l2 2",
    ),
    Place("/data-requests", "Data requests", Permission::FileDataRequests, "M3 2h7l3 3v9H3zM6 8h4M6 11h4"),
    Place("/security", "Security", Permission::ReadSettings, "M8 2l5 2v4c0 3-2 5-5 6-3-1-5-3-5-6V4z"),
];

/// Pages of a workspace that others lead to.
const BEYOND: [(&str, &str, Permission); 2] = [
    ("Statement", "/billing/statement", Permission::ReadBilling),
    ("Proof of the log", "/audit/proof", Permission::ReadActivity),
];

/// Pages outside the workspaces, by name and path.
pub const ANYWHERE: [(&str, &str); 3] =
    [("All workspaces", "/"), ("Account", "/account"), ("Reference", "/reference")];

fn all() -> impl Iterator<Item = &'static Place> {
    WATCH.iter().chain(&CONTROL).chain(&MONEY).chain(&DATA).chain(&ABOUT)
}

/// Name and path (below the workspace) of each place that `role` may see.
pub fn places(role: Role) -> impl Iterator<Item = (&'static str, &'static str)> {
    let listed = all().map(|place| (place.1, place.0, place.2));
    listed.chain(BEYOND).filter(move |place| role.may(place.2)).map(|place| (place.0, place.1))
}

/// The name of the place called `segment` in its path.
pub fn title_of(segment: &str) -> Option<&'static str> {
    all().find(|place| place.0.strip_prefix('/') == Some(segment)).map(|place| place.1)
}
