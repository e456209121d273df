"""Hook: the loopback stands in TLS's place.

Bucket and queue policies deny requests without `aws:SecureTransport`, as they should. Nothing leaves this machine
here, so every request counts as one that came over TLS, and the policies stay as a customer deploys them.
"""

from __future__ import annotations

from ..seam import need, replace

HOOK = "secure transport"


def install() -> None:
    pin = need("app", "pin_request_origin", HOOK)
    replace("app", "pin_request_origin", lambda source_ip, _secure: pin(source_ip, True), HOOK)
