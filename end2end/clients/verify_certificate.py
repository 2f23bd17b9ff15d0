"""Checks what a data request ends with, by code that shares nothing with the server: prints what it found as JSON.

    verify_certificate.py CERTIFICATE KEYS [ARCHIVE]
"""

import base64
import hashlib
import json
import sys
import tarfile

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def canonical(value: object) -> bytes:
    """RFC 8785 for what a certificate holds: texts, whole numbers, true, false and null under names in ASCII."""
    refuse_floats(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise SystemExit("a number with a fraction: this program does not know how RFC 8785 writes it")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        refuse_floats(part)


def is_signed(certificate: dict, keys: dict) -> bool:
    statement = {name: value for name, value in certificate.items() if name != "signature"}
    signature = certificate["signature"]
    known = [key["x"] for key in keys["keys"] if key["kid"] == signature["key_id"] and key["crv"] == "Ed25519"]
    if known != [signature["public_key"]]:
        return False
    public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(known[0] + "="))
    try:
        public.verify(base64.b64decode(signature["value"]), canonical(statement))
    except InvalidSignature:
        return False
    return True


def archive(file: str) -> dict:
    """What is in the archive; fails where the manifest and the files differ."""
    with tarfile.open(file) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
    manifest = json.loads(files.pop("manifest.json"))
    listed = {line["path"]: line["sha256"] for line in manifest["files"]}
    found = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    if listed != found:
        raise SystemExit(f"the manifest lists {listed}, the archive holds {found}")
    calls = [json.loads(content) for path, content in files.items() if path.startswith("calls/")]
    return {
        "data_request_id": manifest["data_request_id"],
        "prompts": sorted(call["prompt"] for call in calls),
        "png": [content[:8].hex() for path, content in files.items() if path.startswith("media/")],
    }


def read(file: str) -> dict:
    with open(file, encoding="utf-8") as text:
        return json.load(text)


certificate, keys = read(sys.argv[1]), read(sys.argv[2])
forged = json.loads(json.dumps(certificate)) | {"state": "forged"}
print(json.dumps({
    "signed": is_signed(certificate, keys),
    "forged": is_signed(forged, keys),
    "stranger": is_signed(certificate, {"keys": []}),
    "archive": archive(sys.argv[3]) if len(sys.argv) > 3 else None,
}))
