"""Hook: batch calls to SQS need the permission of the single call.

There is no `sqs:SendMessageBatch` in IAM: AWS authorises it as `sqs:SendMessage`, and so the other two batches.
See the actions table of Amazon SQS in the Service Authorization Reference.
"""

from __future__ import annotations

from ..seam import need, replace

HOOK = "sqs batches"
_SINGLE = {
    f"sqs:{name}Batch": f"sqs:{name}" for name in ("SendMessage", "DeleteMessage", "ChangeMessageVisibility")
}  # fmt: skip


def install() -> None:
    before = need("core.iam_actions", "extract_iam_action", HOOK)

    def extract(service, method, path, headers, body, query):
        action = before(service, method, path, headers, body, query)
        return _SINGLE.get(action, action)

    replace("core.iam_actions", "extract_iam_action", extract, HOOK)
