//! Who appears in the demo: three workspaces and their agents, with habits.

use serde_json::{Value, json};

/// A workspace of the demo.
pub struct House {
    /// Its name.
    pub name: &'static str,
    /// Its region.
    pub region: &'static str,
    /// Who pays for it.
    pub cost_centre: &'static str,
    /// The first makes the workspace's traffic begin.
    pub agents: &'static [Habit],
    /// Whether finance lets it run dry towards the end.
    pub runs_dry: bool,
}

/// What an agent does.
pub struct Habit {
    /// Its name.
    pub name: &'static str,
    /// How many of all calls are its own, against the others'.
    pub weight: u64,
    /// What it draws with, and the sizes that it asks for.
    pub models: &'static [(&'static str, &'static [(u32, u32)])],
    /// Whether it makes videos instead of images.
    pub films: bool,
    /// How many of 1000 calls it is not allowed to make.
    pub strays: u64,
    /// Whether it may spend little a day only.
    pub is_capped: bool,
}

/// Who else looks at the workspaces: address, name and role.
pub const COLLEAGUES: [(&str, &str, &str); 2] =
    [("dev@example.com", "Dev Patel", "developer"), ("vera@example.com", "Vera Stone", "viewer")];
/// The agent whose retry loop has no end; it lives in the first workspace.
pub const RUNAWAY: &str = "retry-bot";

const SMALL: &[(u32, u32)] = &[(512, 512), (768, 512), (512, 768)];
const SQUARE: &[(u32, u32)] = &[(1024, 1024)];

/// All of them.
pub const HOUSES: [House; 3] = [
    House {
        name: "Growth",
        region: "eu-west-1",
        cost_centre: "CC-4100",
        runs_dry: false,
        agents: &[
            Habit {
                name: "growth-bot",
                weight: 40,
                models: &[("sketch-image-1", SMALL), ("flux-pro-1.1", SMALL), ("flux-2-pro", SMALL)],
                films: false,
                strays: 6,
                is_capped: false,
            },
            Habit {
                name: "copy-bot",
                weight: 14,
                models: &[("flux-pro-1.1", SMALL)],
                films: false,
                strays: 10,
                is_capped: true,
            },
            Habit {
                name: "reel-bot",
                weight: 4,
                models: &[("sketch-video-1", &[(320, 180)])],
                films: true,
                strays: 4,
                is_capped: false,
            },
        ],
    },
    House {
        name: "Brand Studio",
        region: "us-east-1",
        cost_centre: "CC-4200",
        runs_dry: false,
        agents: &[
            Habit {
                name: "brand-bot",
                weight: 16,
                models: &[("gpt-image-1-mini", SQUARE), ("gpt-image-2.5", SQUARE)],
                films: false,
                strays: 8,
                is_capped: false,
            },
            Habit {
                name: "catalogue-bot",
                weight: 18,
                models: &[("flux-2-max", SMALL), ("flux-pro-1.1", SMALL)],
                films: false,
                strays: 2,
                is_capped: false,
            },
        ],
    },
    House {
        name: "Field Marketing",
        region: "eu-west-1",
        cost_centre: "CC-4310",
        runs_dry: true,
        agents: &[Habit {
            name: "event-bot",
            weight: 8,
            models: &[("sketch-image-1", SMALL), ("flux-2-pro", SMALL)],
            films: false,
            strays: 25,
            is_capped: false,
        }],
    },
];

/// Every agent with the place of its house.
pub fn agents() -> impl Iterator<Item = (usize, &'static Habit)> + Clone {
    HOUSES.iter().enumerate().flat_map(|(house, found)| found.agents.iter().map(move |habit| (house, habit)))
}

impl Habit {
    /// Its policy; `day_usd` is what a capped one may spend a day.
    pub fn policy(&self, day_usd: f64) -> Value {
        let generates = if self.films { "generate_video" } else { "generate_image" };
        let mut policy = json!({
            "permissions": [generates, "get_credits", "list_recent_generations"],
            "denied": ["invite_team_member", "top_up_balance", "delete_workspace"],
            "token_rotation_days": 90,
        });
        if self.is_capped {
            policy["caps"] = json!({ "day_usd": day_usd });
        }
        policy
    }
}
