//! Charges in the columns of FOCUS 1.2 (focus.finops.org): what finance tools import.

use serde_json::json;

use super::money::Usd;
use super::region::Region;
use super::time::{DAY, Time};
use super::usage::Sums;

/// Who issues the charges.
const ISSUER: &str = "AgentFramer";
const CURRENCY: &str = "USD";

/// Who pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// The workspace's id.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: Region,
    /// Who pays, in the customer's own words.
    pub cost_centre: Option<String>,
}

/// What one agent's calls of one tool and model cost on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The day's first moment in UTC.
    pub day: Time,
    /// `agent.NAME`.
    pub agent: String,
    /// The tool.
    pub tool: String,
    /// The model.
    pub model: String,
    /// What was counted.
    pub sums: Sums,
}

/// The columns of FOCUS 1.2 in the order of its specification. The last five are names of earlier drafts which
/// `focus-validator` 1.0.0 still demands beside them.
pub const COLUMNS: [&str; 62] = [
    "AvailabilityZone",
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingAccountType",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "CapacityReservationId",
    "CapacityReservationStatus",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "CommitmentDiscountId",
    "CommitmentDiscountName",
    "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus",
    "CommitmentDiscountType",
    "CommitmentDiscountUnit",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceId",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost",
    "PricingCurrencyListUnitPrice",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "Provider",
    "Publisher",
    "InvoiceIssuer",
    "ResourceID",
    "ChargeType",
];

/// The charge's value in each of [`COLUMNS`]; empty where there is none.
pub fn cells(payer: &Payer, charge: &Charge) -> [String; 62] {
    COLUMNS.map(|column| value(column, payer, charge))
}

fn value(column: &str, payer: &Payer, charge: &Charge) -> String {
    let (quantity, unit) = quantity(&charge.sums);
    match column {
        "BilledCost" | "ContractedCost" | "EffectiveCost" | "ListCost" | "PricingCurrencyEffectiveCost" => {
            decimals(charge.sums.cost.micros())
        }
        "BillingAccountId" => payer.workspace.clone(),
        "BillingAccountName" => payer.name.clone(),
        "BillingAccountType" => "Workspace".into(),
        "BillingCurrency" | "PricingCurrency" => CURRENCY.into(),
        "BillingPeriodStart" => second(charge.day.month_start()),
        "BillingPeriodEnd" => second(charge.day.next_month()),
        "ChargePeriodStart" => second(charge.day),
        "ChargePeriodEnd" => second(charge.day.plus(DAY)),
        "ChargeCategory" | "ChargeType" => "Usage".into(),
        "ChargeDescription" => description(charge),
        "ChargeFrequency" => "Usage-Based".into(),
        "ConsumedQuantity" | "PricingQuantity" => decimals(quantity),
        "ConsumedUnit" | "PricingUnit" => unit.into(),
        "ContractedUnitPrice"
        | "ListUnitPrice"
        | "PricingCurrencyContractedUnitPrice"
        | "PricingCurrencyListUnitPrice" => unit_price(charge.sums.cost, quantity),
        "InvoiceIssuerName" | "ProviderName" | "PublisherName" | "InvoiceIssuer" | "Provider"
        | "Publisher" => ISSUER.into(),
        "PricingCategory" => "Standard".into(),
        "RegionId" => payer.region.as_str().into(),
        "RegionName" => payer.region.place().into(),
        "ResourceId" | "ResourceID" | "ResourceName" | "SkuId" | "SkuPriceId" => sku(charge).into(),
        "ResourceType" => "Model".into(),
        "ServiceCategory" => "AI and Machine Learning".into(),
        "ServiceSubcategory" => "Generative AI".into(),
        "ServiceName" => charge.tool.clone(),
        "SkuMeter" => unit.into(),
        "SubAccountId" | "SubAccountName" => charge.agent.clone(),
        "SubAccountType" => "Agent".into(),
        "Tags" => tags(payer, charge),
        _ => String::new(),
    }
}

/// What is paid for, in millionths of its unit.
fn quantity(sums: &Sums) -> (i64, &'static str) {
    match (sums.images, sums.video_ms) {
        (0, 0) => (sums.calls * 1_000_000, "Requests"),
        (0, milliseconds) => (milliseconds * 1_000, "Seconds"),
        (images, _) => (images * 1_000_000, "Images"),
    }
}

/// The mean: a model's price may depend on the size of what is made.
fn unit_price(cost: Usd, quantity: i64) -> String {
    let price = i128::from(cost.micros()) * 1_000_000 / i128::from(quantity.max(1));
    decimals(i64::try_from(price).unwrap_or(i64::MAX))
}

/// Millionths with all six decimals, so that a reader takes every value of a column for a decimal.
fn decimals(millionths: i64) -> String {
    let (sign, size) = (if millionths < 0 { "-" } else { "" }, millionths.unsigned_abs());
    format!("{sign}{}.{:06}", size / 1_000_000, size % 1_000_000)
}

fn second(time: Time) -> String {
    format!("{:.0}", time.timestamp())
}

fn sku(charge: &Charge) -> &str {
    if charge.model.is_empty() { &charge.tool } else { &charge.model }
}

fn description(charge: &Charge) -> String {
    format!("{} calls of {} with {} by {}", charge.sums.calls, charge.tool, sku(charge), charge.agent)
}

fn tags(payer: &Payer, charge: &Charge) -> String {
    json!({
        "agent": charge.agent, "tool": charge.tool, "model": charge.model,
        "cost_centre": payer.cost_centre.as_deref().unwrap_or_default(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_fills_the_columns_that_the_specification_demands() {
        let payer = Payer {
            workspace: "ws_1".into(),
            name: "Growth".into(),
            region: Region::EuWest1,
            cost_centre: Some("CC-7".into()),
        };
        let charge = Charge {
            day: Time::parse("2026-04-30T00:00:00Z").unwrap(),
            agent: "agent.growth-bot".into(),
            tool: "generate_video".into(),
            model: "sketch-video-1".into(),
            sums: Sums { calls: 2, cost: Usd::from_micros(500_000), video_ms: 10_000, ..Sums::default() },
        };
        let cells = cells(&payer, &charge);
        let of = |name: &str| cells[COLUMNS.iter().position(|column| *column == name).unwrap()].as_str();
        assert_eq!(
            (of("BilledCost"), of("ConsumedQuantity"), of("ConsumedUnit")),
            ("0.500000", "10.000000", "Seconds")
        );
        assert_eq!((of("ListUnitPrice"), of("SkuId")), ("0.050000", "sketch-video-1"));
        assert_eq!(
            (of("BillingPeriodEnd"), of("ChargePeriodEnd")),
            ("2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z")
        );
        assert!(of("Tags").contains(r#""cost_centre":"CC-7""#));
        let demanded = [
            "BillingAccountId",
            "ChargeCategory",
            "InvoiceIssuerName",
            "ProviderName",
            "ServiceCategory",
            "ServiceName",
        ];
        assert!(demanded.iter().all(|name| !of(name).is_empty()));
    }
}
