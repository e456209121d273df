"""Hook: DynamoDB under contention, and what it was asked to write.

On AWS two transactions on one item at the same time cancel each other (developer guide, "Transaction conflict
handling"). MiniStack takes one request after the other and never does that, so a test asks for it: a share of the
transactions is then cancelled before anything is written. Item writes are counted, by operation.
"""

from __future__ import annotations

import json
import random
from collections import Counter

from ..seam import need

HOOK = "transaction conflicts"
WRITES = Counter()
_WRITING = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_share = 0.0
_random = random.Random(7)


def install() -> None:
    handlers = need("app", "SERVICE_HANDLERS", HOOK)
    before = handlers["dynamodb"]

    async def contended(method, path, headers, body, query):
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation in _WRITING:
            WRITES[operation] += 1
        elif operation == "TransactWriteItems":
            items = json.loads(body).get("TransactItems", [])
            if _random.random() < _share:
                return _cancelled(len(items))
            WRITES[operation] += sum("ConditionCheck" not in item for item in items)
        return await before(method, path, headers, body, query)

    handlers["dynamodb"] = contended


def inject(share: float) -> None:
    """Cancel this share (0 to 1) of all transactions from now on."""
    global _share
    _share = min(1.0, max(0.0, float(share)))


def _cancelled(items: int) -> tuple[int, dict, bytes]:
    reasons = [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
    reasons += [{"Code": "None"}] * (items - 1)
    body = {
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "Message": f"Transaction cancelled, please refer cancellation reasons for specific reasons {[r['Code'] for r in reasons]}",
        "CancellationReasons": reasons,
    }
    headers = {"Content-Type": "application/x-amz-json-1.0", "x-amzn-errortype": "TransactionCanceledException"}
    return 400, headers, json.dumps(body).encode()
