//! Usage: what was called and charged, from the roll-ups alone, so that it costs the same at any size of the log.

use std::collections::BTreeMap;

use crate::domain::access::Permission;
use crate::domain::field::FieldError;
use crate::domain::money::Usd;
use crate::domain::time::{DAY, Time};
use crate::domain::usage::{Grouping, Interval, Span, Standout, Sums, Usage, forecast, median, standouts};
use crate::engine::Engine;
use crate::engine::access::scope::Scope;
use crate::engine::error::Result;
use crate::engine::money::portfolio::names_apart;
use crate::engine::store::usage::{self, Part, RollUp};
use crate::engine::store::workspaces::{self, Workspace};

/// Days that an hour or day is compared with.
const LOOK_BACK: i64 = 28;

/// What is asked about usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageQuery {
    /// When.
    pub span: Span,
    /// How long a row's interval is.
    pub interval: Interval,
    /// By what it is taken apart.
    pub grouping: Option<Grouping>,
}

/// A group beside the same group of the period before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupLine {
    /// The group; empty for tools without a model.
    pub group: String,
    /// In the span.
    pub sums: Sums,
    /// In the period before.
    pub before: Sums,
}

/// Where the month is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// Mean spend of a day over the last fortnight.
    pub per_day: Usd,
    /// What the month will have cost.
    pub month: Usd,
}

/// Usage with what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// The rows.
    pub usage: Usage,
    /// Each interval of the span, with or without a row.
    pub intervals: Vec<Time>,
    /// Each group, what cost the most first; groups of the period before too.
    pub groups: Vec<GroupLine>,
    /// The period before.
    pub previous: Span,
    /// Its sums.
    pub before: Sums,
    /// Hours or days far above the usual.
    pub standouts: Vec<Standout>,
    /// The median day of the 28 days before today.
    pub typical_day: Usd,
    /// Where the month is going, where the span ends in it.
    pub outlook: Option<Outlook>,
}

impl Engine {
    /// Usage by time and group.
    ///
    /// # Errors
    /// The field `interval` where the span has too many of them.
    pub async fn usage(&self, scope: &Scope, query: UsageQuery) -> Result<Usage> {
        query.span.intervals(query.interval)?;
        let parts = match query.grouping {
            Some(Grouping::Workspace) => self.parts_by_workspace(scope, query).await?,
            _ => self.parts(&scope.workspace, query).await?,
        };
        let parts = parts.into_iter().map(|part| (part.at, part.group, part.sums));
        Ok(Usage::collect(query.span, query.interval, query.grouping, parts))
    }

    async fn parts(&self, workspace: &Workspace, query: UsageQuery) -> Result<Vec<Part>> {
        let (db, mut parts) = (&self.cell(workspace)?.db, Vec::new());
        for (roll_up, span) in self.pieces(query) {
            parts.extend(usage::parts(db, &workspace.id, roll_up, query.grouping, span).await?);
        }
        Ok(parts)
    }

    /// Of every workspace of the reader whose region is served here; a key has its own only.
    async fn parts_by_workspace(&self, scope: &Scope, query: UsageQuery) -> Result<Vec<Part>> {
        let own = match scope.actor.parse() {
            Ok(user) => workspaces::of_user(&self.0.control, &user).await?,
            Err(_) => vec![(scope.workspace.clone(), scope.role)],
        };
        let names = names_apart(own.iter().map(|(workspace, _)| workspace));
        let readable = own.into_iter().filter(|(_, role)| role.may(Permission::ReadActivity));
        let mut all = Vec::new();
        for (workspace, _) in readable.filter(|(workspace, _)| self.cell(workspace).is_ok()) {
            let parts = self.parts(&workspace, UsageQuery { grouping: None, ..query }).await?;
            let name = names.get(&workspace.id).unwrap_or(&workspace.name);
            all.extend(parts.into_iter().map(|part| Part { group: name.clone(), ..part }));
        }
        Ok(all)
    }

    /// Usage beside that of the span `previous`, what stands out and where the month is going.
    ///
    /// # Errors
    /// As [`Engine::usage`].
    pub async fn usage_report(
        &self,
        scope: &Scope,
        query: UsageQuery,
        previous: Span,
    ) -> Result<UsageReport> {
        let usage = self.usage(scope, query).await?;
        let before =
            self.usage(scope, UsageQuery { span: previous, interval: Interval::Month, ..query }).await?;
        // Both are about one workspace.
        let (typical_day, outlook) = match query.grouping {
            Some(Grouping::Workspace) => (Usd::ZERO, None),
            _ => self.outlook(scope, query.span).await?,
        };
        Ok(UsageReport {
            intervals: query.span.intervals(query.interval)?,
            groups: compared(&usage, &before),
            standouts: self.standouts(scope, query).await?,
            before: before.total(),
            usage,
            previous,
            typical_day,
            outlook,
        })
    }

    /// Whole days from the days' roll-up, the rest from the hours'. Nothing is counted yet of what is to come, so a day that
    /// runs is a whole one.
    fn pieces(&self, query: UsageQuery) -> Vec<(RollUp, Span)> {
        let Span { from, to } = query.span;
        let to = if to > self.0.clock.now() { to.max(to.plus(-1).next_day()) } else { to };
        let span = Span { from, to };
        let Some(days) = span.days().filter(|_| query.interval != Interval::Hour) else {
            return vec![(RollUp::Hours, query.span)];
        };
        let pieces = [
            (RollUp::Hours, Span { from, to: days.from }),
            (RollUp::Days, days),
            (RollUp::Hours, Span { from: days.to, to }),
        ];
        pieces.into_iter().filter(|(_, span)| span.from < span.to).collect()
    }

    async fn standouts(&self, scope: &Scope, query: UsageQuery) -> Result<Vec<Standout>> {
        if query.interval == Interval::Month || query.grouping == Some(Grouping::Workspace) {
            return Ok(Vec::new());
        }
        let span = Span { from: query.span.from.plus(-LOOK_BACK * DAY), to: query.span.to };
        let spend = self.spend(scope, span, query.interval).await?;
        // The day of its making was not a whole one.
        let since = self.account(&scope.workspace).await?.created_at.next_day();
        Ok(standouts(&spend, query.interval, query.span, since))
    }

    /// Spend by interval, without the limit on how many are shown.
    async fn spend(&self, scope: &Scope, span: Span, interval: Interval) -> Result<BTreeMap<Time, Usd>> {
        let (db, id) = (&self.cell(&scope.workspace)?.db, &scope.workspace.id);
        let mut spend = BTreeMap::new();
        for (roll_up, span) in self.pieces(UsageQuery { span, interval, grouping: None }) {
            for part in usage::parts(db, id, roll_up, None, span).await? {
                let total: &mut Usd = spend.entry(interval.start(part.at)).or_default();
                *total = total.saturating_add(part.sums.cost);
            }
        }
        Ok(spend)
    }

    async fn outlook(&self, scope: &Scope, span: Span) -> Result<(Usd, Option<Outlook>)> {
        let (now, today) = (self.0.clock.now(), self.0.clock.now().day_start());
        let created = self.account(&scope.workspace).await?.created_at.day_start();
        let days = ((today.micros() - created.micros()) / DAY).clamp(0, LOOK_BACK);
        let from = today.plus(-days * DAY).min(now.month_start());
        let spend = self.spend(scope, Span { from, to: now.next_month() }, Interval::Day).await?;
        let of_day = |back: i64| spend.get(&today.plus(-back * DAY)).copied().unwrap_or_default();
        let typical_day = median((1..=days).map(of_day).collect());
        let per_day = self.pace(scope).await?.per_day;
        let spent = spend.range(now.month_start()..).map(|(_, cost)| *cost).sum();
        let ends_now = span.to > now.month_start() && span.to <= now.next_month() && span.holds(today);
        let outlook = Outlook { per_day, month: forecast(spent, per_day, now) };
        Ok((typical_day, ends_now.then_some(outlook)))
    }
}

fn compared(usage: &Usage, before: &Usage) -> Vec<GroupLine> {
    let mut earlier: BTreeMap<String, Sums> = before.groups().into_iter().collect();
    let mut lines: Vec<GroupLine> = usage
        .groups()
        .into_iter()
        .map(|(group, sums)| GroupLine { before: earlier.remove(&group).unwrap_or_default(), group, sums })
        .collect();
    let gone = earlier.into_iter().map(|(group, before)| GroupLine { group, sums: Sums::default(), before });
    lines.extend(gone);
    lines
}

/// Reads a query as REST and pages give it.
///
/// # Errors
/// Names the field.
pub fn read_query(
    from: Option<&str>,
    to: Option<&str>,
    interval: Option<&str>,
    group_by: Option<&str>,
    now: Time,
) -> std::result::Result<UsageQuery, FieldError> {
    Ok(UsageQuery {
        span: Span::parse(from, to, now)?,
        interval: interval.map(str::parse).transpose()?.unwrap_or_default(),
        grouping: group_by.map(str::parse).transpose()?,
    })
}
