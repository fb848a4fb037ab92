"""Digests of bytes and of JSON values."""

import hashlib
import json

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data` as 64 lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: object) -> bytes:
    """`value` as JSON with sorted keys and no white space: equal values give equal bytes.

    Raises:
        ValueError: `value` holds NaN, an infinity or a lone surrogate.
    """
    return _encode(value).encode()


def canonical_digest(value: object) -> str:
    """SHA-256 of the canonical JSON of `value`; neither key order nor layout of its file matters."""
    return sha256_hex(canonical_json(value))
