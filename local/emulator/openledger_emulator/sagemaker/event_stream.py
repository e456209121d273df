"""The `application/vnd.amazon.eventstream` framing of streamed answers.

Format: docs.aws.amazon.com/transcribe/latest/dg/event-stream.html (prelude, headers, payload, two CRC-32).
"""

from __future__ import annotations

import json
import struct
import zlib

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_STRING = 7


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message. Header values are strings; lengths are big-endian, as are the checksums."""
    encoded = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", _STRING, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    total = 12 + len(encoded) + len(payload) + 4
    prelude = struct.pack("!II", total, len(encoded))
    prelude += struct.pack("!I", zlib.crc32(prelude))
    body = prelude + encoded + payload
    return body + struct.pack("!I", zlib.crc32(body))


def payload_part(chunk: bytes) -> bytes:
    """A PayloadPart event of InvokeEndpointWithResponseStream."""
    headers = {":event-type": "PayloadPart", ":content-type": "application/octet-stream", ":message-type": "event"}
    return message(headers, chunk)


def model_stream_error(code: str, text: str) -> bytes:
    """A ModelStreamError: ModelInvocationTimeExceeded or StreamBroken."""
    headers = {":exception-type": "ModelStreamError", ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, json.dumps({"Message": text, "ErrorCode": code}).encode())
