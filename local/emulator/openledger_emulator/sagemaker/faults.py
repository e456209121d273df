"""Errors of the SageMaker API, with the names and statuses of its service model."""

from __future__ import annotations

import json


class Fault(Exception):
    """An error answer. `code` is the name that SDKs turn into an exception class."""

    code = "ValidationException"
    status = 400

    def __init__(self, message: str, **fields: object):
        super().__init__(message)
        self.message = message
        self.fields = fields


class Invalid(Fault):
    code = "ValidationException"


class InUse(Fault):
    code = "ResourceInUse"


class NotFound(Fault):
    code = "ResourceNotFound"


class Denied(Fault):
    code = "AccessDeniedException"
    status = 400


class RuntimeInvalid(Fault):
    """The runtime API has its own names: ValidationError instead of ValidationException."""

    code = "ValidationError"


class ModelFailed(Fault):
    """The container answered with an error, or not in time. Carries OriginalStatusCode and OriginalMessage."""

    code = "ModelError"
    status = 424


def answer(fault: Fault) -> tuple[int, dict, bytes]:
    """The HTTP reply of an error, as the JSON protocols of both APIs want it."""
    body = {"__type": fault.code, "message": fault.message, "Message": fault.message, **fault.fields}
    headers = {"Content-Type": "application/x-amz-json-1.1", "x-amzn-errortype": fault.code}
    return fault.status, headers, json.dumps(body).encode()
