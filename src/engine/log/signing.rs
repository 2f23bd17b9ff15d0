//! Signatures that anybody can check without us: Ed25519 (RFC 8032) over RFC 8785 JSON.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::time::Time;
use crate::engine::Engine;
use crate::engine::data::sealing::MasterKey;
use crate::engine::error::{Result, internal};
use crate::engine::store::signing_keys;

/// The field of a signed document that holds its signature, over all the others.
const SIGNATURE: &str = "signature";

/// Signs with a key that follows from the master key: its rotation is this one's too.
#[derive(Clone)]
pub struct Signer {
    pair: Arc<Ed25519KeyPair>,
    key_id: String,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The signature of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Signature {
    alg: String,
    key_id: String,
    /// 32 bytes in base64url, as in the key set.
    public_key: String,
    /// 64 bytes in base64.
    value: String,
}

/// Why a signed document is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// There is no signature, or not one of ours.
    #[error("it carries no Ed25519 signature")]
    Unsigned,
    /// The document is not what was signed.
    #[error("its signature does not fit: it was changed after it was signed")]
    Changed,
    /// It was signed with a key that is not among those that are believed.
    #[error("it was signed with the key {0}, which is not in the key set")]
    Stranger(String),
}

impl Signer {
    /// The signer of this installation.
    ///
    /// # Errors
    /// [`crate::engine::error::Error::Internal`]; any 32 bytes are a key.
    pub fn new(master: &MasterKey) -> Result<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&master.derive("signatures"));
        let pair = pair.map_err(|error| internal("signing key", error))?;
        let key_id = key_id(pair.public_key().as_ref());
        Ok(Self { pair: Arc::new(pair), key_id })
    }

    /// The public key's id and its bytes in base64url.
    pub fn public(&self) -> (&str, String) {
        (&self.key_id, URL_SAFE_NO_PAD.encode(self.pair.public_key()))
    }

    /// The statement with the field `signature`.
    ///
    /// # Errors
    /// [`crate::engine::error::Error::Internal`] where the statement is no JSON object.
    pub fn sign(&self, statement: &impl Serialize) -> Result<Value> {
        let mut document = serde_json::to_value(statement).map_err(|error| internal("sign", error))?;
        let bytes = canonical(&document).ok_or_else(|| internal("sign", "is no JSON"))?;
        let signature = Signature {
            alg: "Ed25519".into(),
            key_id: self.key_id.clone(),
            public_key: self.public().1,
            value: STANDARD.encode(self.pair.sign(&bytes)),
        };
        let fields = document.as_object_mut().ok_or_else(|| internal("sign", "is no object"))?;
        fields.insert(SIGNATURE.into(), json!(signature));
        Ok(document)
    }
}

/// Checks a signed document; answers the id of its key. With `keys` (a JWK set, as `/reference/keys.json` serves it)
/// only those are believed, otherwise the document's own key shows only that nothing was changed.
///
/// # Errors
/// [`Unproven`] says why it is not believed.
pub fn verify(document: &Value, keys: Option<&Value>) -> std::result::Result<String, Unproven> {
    let mut statement = document.clone();
    let signature = statement.as_object_mut().and_then(|fields| fields.remove(SIGNATURE));
    let signature: Signature =
        signature.and_then(|value| serde_json::from_value(value).ok()).ok_or(Unproven::Unsigned)?;
    let public = URL_SAFE_NO_PAD.decode(&signature.public_key).map_err(|_| Unproven::Unsigned)?;
    let value = STANDARD.decode(&signature.value).map_err(|_| Unproven::Unsigned)?;
    let bytes = canonical(&statement).ok_or(Unproven::Unsigned)?;
    UnparsedPublicKey::new(&ED25519, &public).verify(&bytes, &value).map_err(|_| Unproven::Changed)?;
    let id = key_id(&public);
    match keys {
        Some(keys) if !holds(keys, &signature.public_key) => Err(Unproven::Stranger(id)),
        _ => Ok(id),
    }
}

fn holds(keys: &Value, public_key: &str) -> bool {
    let listed = keys["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    listed.iter().any(|key| key["crv"] == "Ed25519" && key["x"] == public_key)
}

fn canonical(value: &Value) -> Option<Vec<u8>> {
    serde_json_canonicalizer::to_vec(value).ok()
}

/// The first half of the public key's SHA-256.
fn key_id(public: &[u8]) -> String {
    format!("sig_{}", hex::encode(&Sha256::digest(public)[..12]))
}

impl Engine {
    /// All public keys that ever signed, as a JWK set (RFC 7517, RFC 8037): what `/reference/keys.json` serves.
    ///
    /// # Errors
    /// The database's own.
    pub async fn public_keys(&self) -> Result<Value> {
        let keys = signing_keys::all(&self.0.control).await?;
        let jwk = |(id, public, made): (String, String, Time)| json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": id, "x": public, "created_at": made });
        Ok(json!({ "keys": keys.into_iter().map(jwk).collect::<Vec<_>>() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(digit: &str) -> Signer {
        Signer::new(&MasterKey::from_hex(&digit.repeat(64)).unwrap()).unwrap()
    }

    #[test]
    fn a_signed_document_verifies_until_it_is_changed() {
        let signed = signer("1").sign(&json!({ "b": 1.5, "a": "é" })).unwrap();
        assert_eq!(verify(&signed, None).unwrap(), signer("1").key_id);
        let mut changed = signed.clone();
        changed["a"] = "e".into();
        assert_eq!(verify(&changed, None), Err(Unproven::Changed));
        assert_eq!(verify(&json!({ "a": 1 }), None), Err(Unproven::Unsigned));
    }

    #[test]
    fn a_key_set_decides_who_is_believed() {
        let signed = signer("1").sign(&json!({ "a": 1 })).unwrap();
        let set = |digit: &str| json!({ "keys": [{ "crv": "Ed25519", "x": signer(digit).public().1 }] });
        assert!(verify(&signed, Some(&set("1"))).is_ok());
        assert!(matches!(verify(&signed, Some(&set("2"))), Err(Unproven::Stranger(_))));
    }
}
