//! What all outgoing requests have in common: TLS, and names that lead to public addresses only.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::addresses::is_public;

/// Makes `ring` the process's TLS implementation, unless one is chosen already. Can be called often.
pub fn install_tls() {
    // An error says that one is chosen already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Resolves names to public addresses only; the connection then uses what is left, without asking again, so that a
/// name which changes its address in between gains nothing.
pub(super) struct PublicAddresses;

impl Resolve for PublicAddresses {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}
