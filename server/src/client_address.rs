//! Whose address a request has, when proxies stand in between.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// The list of addresses that proxies append to.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A part of `X-Forwarded-For` that had to be believed cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// The client's address. Without trusted proxies it is the TCP peer's, whatever headers say. Otherwise
/// `X-Forwarded-For` is walked from the right, the proxies of `trusted` are skipped, and the first other entry
/// counts; v4 written as v6 counts as v4.
///
/// # Errors
/// [`Unreadable`] where an entry that is walked is not an address.
pub fn resolve(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> Result<IpAddr, Unreadable> {
    let mut address = peer.to_canonical();
    // Several lines of the header are one list, in their order.
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut entries = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    while trusted.iter().any(|network| network.contains(&address)) {
        match entries.next() {
            Some(entry) => address = read(entry).ok_or(Unreadable)?,
            None => break,
        }
    }
    Ok(address)
}

/// An address, or an address with a port as some proxies write it.
fn read(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim();
    let plain = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = plain.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn resolved(peer: &str, lines: &[&str], trusted: &[&str]) -> Result<String, Unreadable> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        resolve(peer.parse().unwrap(), &headers, &trusted).map(|address| address.to_string())
    }

    #[test]
    fn without_trusted_proxies_the_header_says_nothing() {
        assert_eq!(resolved("203.0.113.9", &["10.0.0.1"], &[]).unwrap(), "203.0.113.9");
        assert_eq!(resolved("203.0.113.9", &["nonsense"], &[]).unwrap(), "203.0.113.9");
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_not_believed() {
        assert_eq!(resolved("203.0.113.9", &["10.1.1.1"], &["192.0.2.0/24"]).unwrap(), "203.0.113.9");
    }

    #[test]
    fn the_rightmost_entry_that_is_no_proxy_counts() {
        let trusted = ["192.0.2.0/24", "2001:db8::/32"];
        let forged = ["10.0.0.1, 198.51.100.7, 192.0.2.2"];
        assert_eq!(resolved("192.0.2.1", &forged, &trusted).unwrap(), "198.51.100.7");
        assert_eq!(
            resolved("2001:db8::1", &["10.0.0.1", "198.51.100.7", "192.0.2.2"], &trusted).unwrap(),
            "198.51.100.7"
        );
    }

    #[test]
    fn where_all_are_proxies_the_farthest_counts() {
        assert_eq!(resolved("192.0.2.1", &["192.0.2.3, 192.0.2.2"], &["192.0.2.0/24"]).unwrap(), "192.0.2.3");
        assert_eq!(resolved("192.0.2.1", &[], &["192.0.2.0/24"]).unwrap(), "192.0.2.1");
    }

    #[test]
    fn an_unreadable_entry_is_refused_only_where_it_is_walked() {
        let trusted = ["192.0.2.0/24"];
        for line in ["198.51.100.7, nonsense", "", "198.51.100.7,", "198.51.100.7, \u{fc}"] {
            assert_eq!(resolved("192.0.2.1", &[line], &trusted), Err(Unreadable), "{line}");
        }
        assert_eq!(resolved("192.0.2.1", &["nonsense, 198.51.100.7"], &trusted).unwrap(), "198.51.100.7");
    }

    #[test]
    fn v4_written_as_v6_and_ports_are_unfolded() {
        let trusted = ["192.0.2.0/24"];
        assert_eq!(resolved("::ffff:192.0.2.1", &["::ffff:198.51.100.7"], &trusted).unwrap(), "198.51.100.7");
        assert_eq!(resolved("192.0.2.1", &["198.51.100.7:4711"], &trusted).unwrap(), "198.51.100.7");
        assert_eq!(resolved("192.0.2.1", &["[2001:db8::7]:4711"], &trusted).unwrap(), "2001:db8::7");
        assert_eq!(resolved("192.0.2.1", &["[2001:db8::7]"], &trusted).unwrap(), "2001:db8::7");
    }
}
