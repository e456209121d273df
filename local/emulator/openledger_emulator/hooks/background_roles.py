"""Hook: schedules, rules and event source mappings act with their roles.

On AWS a schedule whose role may not invoke its target fires into the void, and a mapping whose function may not read
the queue is refused. MiniStack asks IAM for neither. Once IAM is on, both are refused here, with a line in the log.
"""

from __future__ import annotations

import logging
import time

from .. import identity
from ..seam import need, replace

HOOK = "background roles"
_TARGET_ACTIONS = {"lambda": "lambda:InvokeFunction", "states": "states:StartExecution", "sqs": "sqs:SendMessage"}
_SOURCE_ACTIONS = {
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "dynamodb": ("dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"),
}
_REMEMBERED_SECONDS = 10.0
_log = logging.getLogger("openledger")
_verdicts: dict[str, tuple[float, str | None]] = {}


def install() -> None:
    invoke = need("services.eventbridge", "_invoke_target", HOOK)
    mappings = need("services.lambda_svc", "_iter_all_esms", HOOK)

    def invoke_as_role(target, event, rule, view=None):
        denied = target_refusal(target)
        if denied:
            _log.warning("target %s is not invoked: %s", target.get("Arn"), denied)
            return None
        return invoke(target, event, rule, view)

    def allowed_mappings():
        for account, region, mapping in mappings():
            if _remembered(account, region, mapping) is None:
                yield account, region, mapping

    replace("services.eventbridge", "_invoke_target", invoke_as_role, HOOK)
    replace("services.lambda_svc", "_iter_all_esms", allowed_mappings, HOOK)


def target_refusal(target: dict) -> str | None:
    """Why the target's role may not invoke it; None without a role (then the target's own policy decides)."""
    action = _TARGET_ACTIONS.get(target.get("Arn", "").split(":")[2] if target.get("Arn", "").count(":") > 4 else "")
    if not action or not target.get("RoleArn") or not identity.enforced():
        return None
    key = identity.role_session(target["RoleArn"], "Events")["AWS_ACCESS_KEY_ID"]
    return identity.refusal(key, action, target["Arn"], identity.region())


def mapping_refusal(mapping: dict) -> str | None:
    """Why the role of the mapping's function may not read its source."""
    source = mapping.get("EventSourceArn", "")
    function = need("services.lambda_svc", "_get_func_record_for_qualifier", HOOK)
    _, config = function(mapping["FunctionName"], mapping.get("Qualifier"))
    role = (config or {}).get("Role")
    if not role or not identity.enforced():
        return None
    key = identity.role_session(role, "EventSource")["AWS_ACCESS_KEY_ID"]
    for action in _SOURCE_ACTIONS.get(source.split(":")[2], ()):
        denied = identity.refusal(key, action, source, identity.region())
        if denied:
            return denied
    return None


def _remembered(account: str, region: str, mapping: dict) -> str | None:
    """The verdict of the last seconds: the poller asks several times a second."""
    known = _verdicts.get(mapping["UUID"])
    if known and time.monotonic() - known[0] < _REMEMBERED_SECONDS:
        return known[1]
    with need("core.responses", "request_scope", HOOK)(account, region):
        verdict = mapping_refusal(mapping)
    if verdict and (not known or not known[1]):
        _log.warning("event source %s is not read: %s", mapping.get("EventSourceArn"), verdict)
    _verdicts[mapping["UUID"]] = (time.monotonic(), verdict)
    return verdict
