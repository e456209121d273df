"""Hook: the records of DynamoDB streams survive a restart.

On AWS a stream keeps its records for 24 hours, whoever stops meanwhile. MiniStack saves how far each consumer has
read, but not the records: what was written and not yet consumed at a stop would never reach its function.
"""

from __future__ import annotations

import copy
import importlib

from ..seam import need, replace

HOOK = "stream records"
_KEY = "openledgerStreams"


def install() -> None:
    module = importlib.import_module("ministack.services.dynamodb")
    get_state = need("services.dynamodb", "get_state", HOOK)
    load = need("services.dynamodb", "load_persisted_state", HOOK)
    records, trimmed = need("services.dynamodb", "_stream_records", HOOK), need("services.dynamodb", "_stream_trimmed", HOOK)
    need("services.dynamodb", "_stream_seq_counter", HOOK)

    def with_streams() -> dict:
        # Tables first: a write that comes in between is then in the stream at least, and its consumer reads the table.
        state = get_state()
        streams = {"records": copy.deepcopy(records), "trimmed": copy.deepcopy(trimmed), "sequence": module._stream_seq_counter}
        return {**state, _KEY: streams}

    def load_with_streams(saved: dict) -> None:
        streams = (saved or {}).pop(_KEY, None)
        load(saved)
        if streams:
            records.update(streams["records"])
            trimmed.update(streams["trimmed"])
            module._stream_seq_counter = max(module._stream_seq_counter, streams["sequence"])

    replace("services.dynamodb", "get_state", with_streams, HOOK)
    replace("services.dynamodb", "load_persisted_state", load_with_streams, HOOK)
