"""Hook: a restart gives messages back that were being worked on.

On AWS the functions behind a queue do not die with a person's laptop. Here they do, and a message that one of them had
received would stay invisible for its visibility timeout: half an hour in which nobody is working on it.
"""

from __future__ import annotations

import time

from ..seam import need, replace

HOOK = "in-flight messages"


def install() -> None:
    load = need("services.sqs", "load_persisted_state", HOOK)
    queues = need("services.sqs", "_queues", HOOK)

    def load_and_release(saved: dict) -> None:
        load(saved)
        now = time.time()
        for queue in queues.all_values():
            for message in queue["messages"]:
                # Without a receipt handle it was never received: it waits for its own delay.
                if message.get("receipt_handle") is not None and message["visible_at"] > now:
                    message["visible_at"] = now

    replace("services.sqs", "load_persisted_state", load_and_release, HOOK)
