import hashlib, hmac, time

def is_ours(secret: str, header: str, body: bytes) -> bool:
    parts = [part.split("=", 1) for part in header.split(",")]
    at = next(value for name, value in parts if name == "t")
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    is_recent = abs(time.time() - int(at)) < 300
    return is_recent and any(name == "v1" and hmac.compare_digest(signed, value) for name, value in parts)
