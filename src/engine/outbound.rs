//! What all outgoing requests have in common: TLS, and names that lead to public addresses only.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::domain::addresses::is_public;

/// Makes `ring` the process's TLS implementation, unless one is chosen already. Can be called often.
pub fn install_tls() {
    // An error says that one is chosen already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Names as this machine resolves them.
pub(super) struct SystemNames;

impl Resolve for SystemNames {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Of a resolver's addresses the public ones only; the connection then uses what is left, without asking again, so that a
/// name which changes its address in between gains nothing.
pub(super) struct PublicAddresses<R = SystemNames>(pub(super) R);

impl<R: Resolve> Resolve for PublicAddresses<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.0.resolve(name);
        Box::pin(async move {
            let public: Vec<SocketAddr> = found.await?.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn found(name: &str) -> Result<Vec<SocketAddr>, String> {
        let found = PublicAddresses(SystemNames).resolve(name.parse().unwrap()).await;
        found.map(Iterator::collect).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn names_that_lead_to_this_machine_lead_nowhere() {
        assert_eq!(found("localhost").await, Err("the name has no public address".into()));
    }

    #[tokio::test]
    async fn of_several_addresses_only_public_ones_are_left() {
        // Literal addresses pass through the same resolver.
        assert_eq!(found("93.184.216.34").await.unwrap(), ["93.184.216.34:0".parse().unwrap()]);
        for private in ["127.0.0.1", "10.1.2.3", "169.254.169.254", "100.64.0.1"] {
            assert!(found(private).await.is_err(), "{private}");
        }
    }
}
