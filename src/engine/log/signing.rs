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
use crate::engine::data::sealing::{MasterKey, MasterKeys};
use crate::engine::error::{Result, internal};
use crate::engine::store::ControlDb;
use crate::engine::store::signing_keys::{self, KeyRow};

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

/// Writes down the key of the settings' master key, and signs with it the one before, which so is believed for good. What
/// only stands in the table proves nothing: whoever can write there could add a key.
///
/// # Errors
/// The database's own.
pub(crate) async fn open(db: &ControlDb, keys: &MasterKeys, now: Time) -> Result<Signer> {
    let signer = Signer::new(&keys.current)?;
    let (id, public) = signer.public();
    signing_keys::insert(db, id, &public, now).await?;
    if let Some(previous) = &keys.previous {
        let previous = Signer::new(previous)?;
        let (id, public) = previous.public();
        signing_keys::insert(db, id, &public, now).await?;
        let endorsement = signer.sign(&json!({ "key_id": id, "endorses": public }))?;
        signing_keys::endorse(db, id, &endorsement.to_string()).await?;
    }
    Ok(signer)
}

/// Those of `rows` that `own` signs with, or that a believed key signed.
fn believed(mut rows: Vec<KeyRow>, own: &str) -> Vec<KeyRow> {
    let mut believed: Vec<KeyRow> = rows.extract_if(.., |row| row.public_key == own).collect();
    loop {
        let keys = key_set(&believed);
        let more: Vec<KeyRow> = rows.extract_if(.., |row| is_endorsed(row, &keys)).collect();
        if more.is_empty() {
            believed.sort_by(|one, other| (other.made_at, &one.id).cmp(&(one.made_at, &other.id)));
            return believed;
        }
        believed.extend(more);
    }
}

fn is_endorsed(row: &KeyRow, keys: &Value) -> bool {
    let read = row.endorsement.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    read.is_some_and(|signed| signed["endorses"] == row.public_key && verify(&signed, Some(keys)).is_ok())
}

/// As a JWK set (RFC 7517, RFC 8037).
fn key_set(rows: &[KeyRow]) -> Value {
    let jwk = |row: &KeyRow| json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": row.id, "x": row.public_key, "created_at": row.made_at });
    json!({ "keys": rows.iter().map(jwk).collect::<Vec<_>>() })
}

impl Engine {
    /// The public keys that are believed, as a JWK set: what `/reference/keys.json` serves.
    ///
    /// # Errors
    /// The database's own.
    pub async fn public_keys(&self) -> Result<Value> {
        let rows = signing_keys::all(&self.0.control).await?;
        Ok(key_set(&believed(rows, &self.0.signer.public().1)))
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

    #[test]
    fn a_key_is_believed_where_one_that_is_believed_signed_it() {
        let row = |digit: &str, by: Option<&str>| {
            let own = signer(digit);
            let (id, public) = own.public();
            let endorsement =
                by.map(|by| signer(by).sign(&json!({ "endorses": public })).unwrap().to_string());
            KeyRow { id: id.to_owned(), public_key: own.public().1, made_at: Time(0), endorsement }
        };
        let found = |rows: Vec<KeyRow>| believed(rows, &signer("3").public().1).len();
        assert_eq!(found(vec![row("1", Some("2")), row("2", Some("3")), row("3", None)]), 3);
        assert_eq!(
            found(vec![row("1", Some("2")), row("2", None), row("3", None)]),
            1,
            "written down by anybody"
        );
        assert_eq!(found(vec![row("1", Some("1")), row("3", None)]), 1, "by itself");
        let mut other = row("1", Some("3"));
        other.public_key = signer("4").public().1;
        assert_eq!(found(vec![other, row("3", None)]), 1, "what was signed over another key");
    }
}
