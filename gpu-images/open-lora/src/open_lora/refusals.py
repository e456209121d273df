"""Typed refusals: every answer that is not a completion has a stable code.

`Refusal.code` is the contract with the router; the HTTP status follows the OpenAI API
(404 unknown model, 400 bad request, 429/503 with Retry-After when the server is busy).
"""

from __future__ import annotations

# code -> (HTTP status, OpenAI error type)
REFUSALS: dict[str, tuple[int, str]] = {
    # the request
    "invalid_request": (400, "invalid_request_error"),
    "unsupported_parameter": (400, "invalid_request_error"),
    "context_length_exceeded": (400, "invalid_request_error"),
    "no_chat_template": (400, "invalid_request_error"),
    "invalid_adapter_name": (400, "invalid_request_error"),
    "request_too_large": (413, "invalid_request_error"),
    "unauthorized": (401, "authentication_error"),
    "not_found": (404, "invalid_request_error"),
    # the adapter
    "model_not_found": (404, "invalid_request_error"),
    "adapter_disabled": (403, "permission_error"),
    "adapter_wrong_base": (422, "adapter_refused"),
    "adapter_corrupt": (422, "adapter_refused"),
    "adapter_digest_mismatch": (422, "adapter_refused"),
    "adapter_pickle": (422, "adapter_refused"),
    "adapter_not_finite": (422, "adapter_refused"),
    "adapter_too_large": (422, "adapter_refused"),
    "adapter_rank_too_large": (422, "adapter_refused"),
    "adapter_unsupported": (422, "adapter_refused"),
    "adapter_exists": (409, "invalid_request_error"),
    # the server
    "non_finite_output": (500, "server_error"),
    "engine_failed": (500, "server_error"),
    "source_unavailable": (503, "server_error"),
    "queue_full": (429, "rate_limit_error"),
    "queue_timeout": (503, "server_error"),
    "no_adapter_capacity": (503, "server_error"),
    "draining": (503, "server_error"),
}


class Refusal(Exception):
    """A request or an adapter that is not served. `param` names the field, if there is one."""

    def __init__(self, code: str, message: str, *, param: str | None = None, retry_after: int | None = None):
        super().__init__(message)
        self.code = code
        self.status, self.type = REFUSALS[code]
        self.message = message
        self.param = param
        self.retry_after = retry_after if retry_after is not None else (1 if self.status in (429, 503) else None)

    def body(self) -> dict:
        """The OpenAI error body."""
        return {"error": {"message": self.message, "type": self.type, "code": self.code, "param": self.param}}

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)} if self.retry_after is not None else {}
