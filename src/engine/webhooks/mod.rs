//! Webhooks: endpoints that Admins make, change and test, and the couriers that deliver to them.

mod courier;
mod deliveries;
mod endpoints;
mod health;
mod replays;
mod secrets;
mod sender;
mod slots;
mod trial;

pub(crate) use self::courier::KEEP as DELIVERIES_KEPT;
pub use self::deliveries::{DeliveryView, ParkedRow};
pub use self::endpoints::{
    EndpointChange, EndpointState, EndpointView, MadeEndpoint, NewEndpoint, RotatedSecret,
};
pub use self::health::Health;
pub use self::replays::Replay;
pub(crate) use self::sender::Sender;
pub use self::trial::TestResult;
