//! Signatures: ours (contract §4) and those of Standard Webhooks 1.0.0, over the exact bytes that are sent.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What every secret begins with; base64 of 32 random bytes follows.
pub const SECRET_PREFIX: &str = "whsec_";

/// A secret as it is shown once.
pub fn secret(random: [u8; 32]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(random))
}

/// `t=<unix seconds>,v1=<hex>`: HMAC-SHA256 over `<t>.<body>`, keyed with each secret's bytes as shown. During a
/// rotation both secrets sign, as two `v1`.
pub fn ours(secrets: &[String], at: i64, body: &[u8]) -> String {
    let signed = secrets.iter().map(|secret| {
        let mac = mac(secret.as_bytes(), &[at.to_string().as_bytes(), b".", body]);
        format!(",v1={}", hex::encode(mac))
    });
    format!("t={at}{}", signed.collect::<String>())
}

/// `v1,<base64>` for each secret, separated by a space: HMAC-SHA256 over `<id>.<t>.<body>`, keyed with the decoded
/// part behind the prefix.
pub fn standard(secrets: &[String], id: &str, at: i64, body: &[u8]) -> String {
    let signed = secrets.iter().map(|secret| {
        let key = STANDARD.decode(secret.trim_start_matches(SECRET_PREFIX)).unwrap_or_default();
        let mac = mac(&key, &[id.as_bytes(), b".", at.to_string().as_bytes(), b".", body]);
        format!("v1,{}", STANDARD.encode(mac))
    });
    signed.collect::<Vec<_>>().join(" ")
}

#[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any length is a key");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the reference page shows to receivers.
    #[allow(clippy::disallowed_methods, reason = "a receiver has no clock of ours")]
    mod shown {
        include!("../../../app/src/pages/reference/verify.rs");
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "what is shown compares with the time of day")]
    fn the_example_for_receivers_accepts_ours_and_nothing_else() {
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let header = ours(&["old".into(), "new".into()], now, b"{}");
        assert!(shown::is_ours("old", &header, b"{}") && shown::is_ours("new", &header, b"{}"));
        assert!(!shown::is_ours("strange", &header, b"{}") && !shown::is_ours("new", &header, b"{} "));
        assert!(!shown::is_ours("new", &ours(&["new".into()], now - 301, b"{}"), b"{}"), "too old");
        for broken in ["", "t=", "v1=00", "t=x,v1=zz", ",,,="] {
            assert!(!shown::is_ours("new", broken, b"{}"), "{broken}");
        }
    }

    #[test]
    fn the_standard_signature_is_that_of_its_specification() {
        // The example that every library of Standard Webhooks carries among its tests.
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned();
        let signed =
            standard(&[secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn ours_is_keyed_with_the_secret_as_shown() {
        let signed = ours(&["key".into()], 1_714_402_928, b"{}");
        // printf '1714402928.{}' | openssl dgst -sha256 -hmac key
        assert_eq!(signed, format!("t=1714402928,v1={}", hex::encode(mac(b"key", &[b"1714402928.{}"]))));
        let both = ours(&["a".into(), "b".into()], 1, b"{}");
        assert_eq!(both.matches(",v1=").count(), 2);
    }
}
