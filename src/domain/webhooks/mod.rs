//! Webhooks without I/O: what an event looks like, how it is signed and packed, what an answer means, when to try again
//! (contract §4).

pub mod answer;
pub mod endpoint;
pub mod event;
pub mod parcel;
pub mod progress;
pub mod schema;
pub mod signature;
