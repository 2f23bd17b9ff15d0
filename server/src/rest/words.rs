//! The words that a text may be, in the OpenAPI document: the domain's own lists.

use agentframer::domain::access::Role;
use agentframer::domain::region::Region;
use agentframer::domain::usage::{Grouping, Interval};
use agentframer::domain::webhooks::endpoint::Format;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// Defines a type that stands for a text of a few words where a field is described: `value_type = RoleWord, inline`.
macro_rules! words {
    ($($name:ident: $words:expr;)*) => {$(
        pub(super) struct $name;

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                one_of($words)
            }
        }

        impl ToSchema for $name {}
    )*};
}

words! {
    RoleWord: Role::ALL.map(Role::as_str);
    RegionWord: Region::ALL.map(Region::as_str);
    IntervalWord: Interval::ALL.map(Interval::as_str);
    GroupingWord: Grouping::ALL.map(Grouping::as_str);
    FormatWord: Format::ALL.map(Format::as_str);
    StateWord: ["active", "paused"];
    EntryWord: ["calls", "administration"];
    InferenceWord: ["any", "region_only"];
    RequestWord: ["access", "erasure"];
    HoldWord: ["workspace", "agent", "subject"];
}

fn one_of<const N: usize>(words: [&'static str; N]) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
}
