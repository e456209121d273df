"""Who acts, and whether IAM lets them: role sessions for processes and the checks a service makes for its caller."""

from __future__ import annotations

import hashlib
import json

from .seam import need

_HOOK = "identity"


def enforced() -> bool:
    """Whether IAM is on now (it is off while the CDK CLI deploys)."""
    return bool(need("app", "AUTH", _HOOK))


def role_session(role_arn: str, session: str) -> dict[str, str]:
    """Credentials of the role as environment variables, so that IAM binds whoever uses them.

    The key is derived from the role and the session name: a restart of the emulator gives the same one.
    """
    account, role_name = role_arn.split(":")[4], role_arn.rsplit("/", 1)[-1]
    digest = hashlib.sha256(f"{role_arn}#{session}".encode()).hexdigest()
    key, secret = f"ASIA{digest[:16].upper()}", hashlib.sha256(f"secret#{digest}".encode()).hexdigest()
    token = hashlib.sha256(f"token#{digest}".encode()).hexdigest()
    need("services.sts", "register_session", _HOOK)(
        key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session[:64]}",
            "UserId": f"{role_name}:{session[:64]}",
            "SecretAccessKey": secret,
            "SessionToken": token,
        },
    )
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def refusal(key: str, action: str, resource: str, region: str, context: dict | None = None) -> str | None:
    """Why IAM refuses `action` on `resource` to the owner of the access key, or None when it may (or IAM is off)."""
    if not enforced():
        return None
    # AWS's own services call each other over TLS; a thread of the background has no request that would say so.
    need("core.iam_evaluator", "pin_request_origin", _HOOK)("127.0.0.1", True)
    denied = need("core.iam_evaluator", "enforce", _HOOK)(
        key, action, action.split(":")[0], region, resource_arn=resource, service_context=context
    )
    if denied is None:
        return None
    who = getattr(denied, "principal_arn", "") or "the caller"
    explicit = getattr(denied, "decision", "") == "Deny"
    reason = "with an explicit deny" if explicit else f"because no identity-based policy allows the {action} action"
    return f"User: {who} is not authorized to perform: {action} on resource: {resource} {reason}"


def pass_role_refusal(key: str, role_arn: str, service: str, region: str) -> str | None:
    """The two checks AWS makes when a role is handed to a service: may the caller pass it, does it trust the service."""
    if not enforced():
        return None
    denied = refusal(key, "iam:PassRole", role_arn, region, {"iam:PassedToService": service})
    if denied:
        return denied
    roles = need("services.iam", "_roles", _HOOK)
    role = roles.get(role_arn.rsplit("/", 1)[-1])
    if role is None or not _trusts(role.get("AssumeRolePolicyDocument", ""), service):
        return (
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
            f"'{service}' to assume the role."
        )
    return None


def _trusts(document: str | dict, service: str) -> bool:
    parsed = json.loads(document) if isinstance(document, str) and document else document or {}
    statements = parsed.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principals = statement.get("Principal", {})
        services = principals.get("Service", []) if isinstance(principals, dict) else []
        if statement.get("Effect") == "Allow" and service in ([services] if isinstance(services, str) else services):
            return True
    return False


def access_key(headers: dict, query: dict | None = None) -> str:
    """Access key id of a request ("" when it is unsigned)."""
    return need("core.router", "extract_access_key_id", _HOOK)(headers, query)


def account() -> str:
    return need("core.responses", "get_account_id", _HOOK)()


def region() -> str:
    return need("core.responses", "get_region", _HOOK)()
