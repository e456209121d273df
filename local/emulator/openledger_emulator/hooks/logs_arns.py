"""Hook: the ARN that CloudWatch Logs calls are authorised on.

AWS decides `logs:FilterLogEvents` and its kin on `...:log-group:NAME:log-stream:`, which a grant on
`...:log-group:NAME:*` matches and one without the `:*` does not; only the tagging calls use the bare ARN.
See docs.aws.amazon.com/AmazonCloudWatch/latest/logs/iam-access-control-overview-cwl.html (resource ARNs).
"""

from __future__ import annotations

import re

from ..seam import need, replace

HOOK = "logs ARNs"
_BARE = re.compile(r"^arn:aws[\w-]*:logs:[^:]*:[^:]*:log-group:[^:]+$")
_TAGGING = frozenset({"TagResource", "UntagResource", "ListTagsForResource", "TagLogGroup", "UntagLogGroup"})


def install() -> None:
    before = need("core.iam_actions", "extract_resource_arn", HOOK)

    def extract(service, method, path, headers, body, query, region, account):
        arn = before(service, method, path, headers, body, query, region, account)
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        if service == "logs" and action not in _TAGGING and _BARE.match(arn):
            return f"{arn}:log-stream:"
        return arn

    replace("core.iam_actions", "extract_resource_arn", extract, HOOK)
