"""Hosting mode: a request must carry a fresh HMAC of the infer function, so that no other role can bypass billing.

`X-Amzn-SageMaker-Custom-Attributes: v1;<expiresUnix>;<hex hmac-sha256(secret, expiresUnix + "." + sha256hex(body))>`
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
import time

from open_lora.refusals import Refusal

HEADER = "x-amzn-sagemaker-custom-attributes"
LONGEST_SECONDS = 900
REREAD_SECONDS = 5
PREVIOUS_SECONDS = 600  # longer than the infer function keeps a secret (300 s)


def signature(secret: bytes, expires: int, body: bytes) -> str:
    message = f"{expires}.{hashlib.sha256(body).hexdigest()}".encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


class Gatekeeper:
    """`read_secret` is called again, at most every 5 s, when a signature does not fit: secrets rotate. The secret before is good
    for ten minutes more, as not everybody who signs has read the new one yet."""

    def __init__(self, read_secret, clock=time.time):
        self._read, self._clock = read_secret, clock
        self._lock = threading.Lock()
        self._secret: bytes = read_secret()
        self._previous: tuple[bytes, float] | None = None  # until when it is good
        self._read_at = clock()

    def check(self, header: str | None, body: bytes) -> None:
        """Raises Refusal `unauthorized`; says nothing about which part was wrong."""
        version, _, rest = (header or "").partition(";")
        expires_text, _, given = rest.partition(";")
        expires = int(expires_text) if expires_text.isascii() and expires_text.isdigit() and len(expires_text) < 12 else 0
        now = self._clock()
        fresh = version == "v1" and now <= expires <= now + LONGEST_SECONDS
        if fresh and (self._fits(expires, body, given) or (self._reread() and self._fits(expires, body, given))):
            return
        raise Refusal("unauthorized", "the request is not signed for this endpoint")

    def _fits(self, expires: int, body: bytes, given: str) -> bool:
        secret, previous = self._secret, self._previous
        secrets = [secret, previous[0]] if previous and self._clock() < previous[1] else [secret]
        return any(hmac.compare_digest(signature(s, expires, body).encode(), given.encode("utf-8", "replace")) for s in secrets)

    def _reread(self) -> bool:
        with self._lock:
            if self._clock() - self._read_at < REREAD_SECONDS:
                return False
            self._read_at = self._clock()
            read = self._read()
            if read == self._secret:
                return False
            self._previous, self._secret = (self._secret, self._clock() + PREVIOUS_SECONDS), read
            return True


def secret_from_environment() -> bytes:
    """HMAC_SECRET, or the secret string of HMAC_SECRET_ARN."""
    if os.environ.get("HMAC_SECRET"):
        return os.environ["HMAC_SECRET"].encode()
    arn = os.environ.get("HMAC_SECRET_ARN")
    if not arn:
        raise SystemExit("hosting mode needs HMAC_SECRET_ARN or HMAC_SECRET")
    import boto3

    value = boto3.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    return value.encode()
