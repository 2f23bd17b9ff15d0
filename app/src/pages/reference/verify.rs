use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

pub fn is_ours(secret: &str, header: &str, body: &[u8]) -> bool {
    let parts = || header.split(',').filter_map(|part| part.split_once('='));
    let Some((_, at)) = parts().find(|(name, _)| *name == "t") else { return false };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let is_recent = at.parse::<u64>().is_ok_and(|at| now.abs_diff(at) < 300);
    let fits = |value: &str| {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return false };
        let signed = mac.chain_update(at).chain_update(".").chain_update(body);
        hex::decode(value).is_ok_and(|value| signed.verify_slice(&value).is_ok())
    };
    is_recent && parts().any(|(name, value)| name == "v1" && fits(value))
}
