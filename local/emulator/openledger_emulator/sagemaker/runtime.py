"""The runtime API: InvokeEndpoint, InvokeEndpointWithResponseStream and InvokeEndpointAsync.

Limits: docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html (body 6,291,456 bytes,
60 s for a buffered answer) and ..._InvokeEndpointWithResponseStream.html (8 minutes for a streamed one).
"""

from __future__ import annotations

import asyncio
import re
from urllib.parse import unquote

import httpx

from .. import identity
from ..seam import need
from . import event_stream
from .async_invocations import AsyncInvocations
from .endpoints import Endpoints
from .faults import Invalid, ModelFailed, RuntimeInvalid

PATH = re.compile(r"^/endpoints/([^/]+)/(invocations|invocations-response-stream|async-invocations)$")
MAX_BODY = 6_291_456
BUFFERED_SECONDS = 60.0
STREAM_SECONDS = 480.0
_MAX_ATTRIBUTES = 1024
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


class Runtime:
    """Carries requests to the containers of `endpoints`, and their answers back as they come."""

    def __init__(self, endpoints: Endpoints, later: AsyncInvocations):
        self._endpoints = endpoints
        self._later = later
        # A connection kept open may be closed by the container in the moment in which it is used again: a new one each time.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        # No time limits of its own: a request ends by the limits of SageMaker below.
        self._client = httpx.AsyncClient(trust_env=False, timeout=None, limits=limits)

    async def handle(self, path: str, headers: dict, body: bytes) -> tuple[int, dict, object]:
        name, kind = _addressed(path)
        _check(headers, body)
        if kind == "async-invocations":
            self._known(name, None)
            return self._later.accept(name, headers, body, _forwarded(headers, kind))
        variant, container = self._find(name, headers)
        request = self._client.build_request(
            "POST", f"{container.url}/invocations", content=body, headers=_forwarded(headers, kind)
        )
        streamed = kind == "invocations-response-stream"
        answer = await self._send(request, streamed, variant)
        reply = {"x-Amzn-Invoked-Production-Variant": variant}
        if _ATTRIBUTES in answer.headers:
            reply["X-Amzn-SageMaker-Custom-Attributes"] = answer.headers[_ATTRIBUTES]
        content_type = answer.headers.get("content-type", "application/octet-stream")
        if not streamed:
            if len(answer.content) > MAX_BODY:
                raise ModelFailed("Received a response larger than 6291456 bytes from the model.", OriginalStatusCode=200)
            return 200, {**reply, "Content-Type": content_type}, answer.content
        reply |= {"X-Amzn-SageMaker-Content-Type": content_type, "Content-Type": event_stream.CONTENT_TYPE}
        streaming = need("core.responses", "StreamingResponse", "sagemaker runtime")
        return 200, reply, streaming(lambda send, _: _relay(answer, send))

    async def _send(self, request: httpx.Request, streamed: bool, variant: str) -> httpx.Response:
        limit = STREAM_SECONDS if streamed else BUFFERED_SECONDS
        try:
            async with asyncio.timeout(limit):
                answer = await self._client.send(request, stream=True)
                if not streamed or answer.status_code >= 400:
                    await answer.aread()
        except TimeoutError as error:
            raise ModelFailed(
                f"Your invocation timed out while waiting for a response from container {variant}.",
                OriginalStatusCode=0, OriginalMessage="Model did not respond in time",
            ) from error  # fmt: skip
        except httpx.HTTPError as error:
            raise ModelFailed(
                f"The connection to container {variant} was closed: {error}", OriginalStatusCode=0, OriginalMessage=str(error)
            ) from error
        if answer.status_code >= 400:
            side, text = "client" if answer.status_code < 500 else "server", answer.text[:4096]
            raise ModelFailed(
                f'Received {side} error ({answer.status_code}) from {variant} with message "{text}".',
                OriginalStatusCode=answer.status_code, OriginalMessage=text,
            )  # fmt: skip
        return answer

    def _find(self, name: str, headers: dict):
        variant, container = self._known(name, headers.get("x-amzn-sagemaker-target-variant"))
        if self._endpoints.config_of(name).get("AsyncInferenceConfig"):
            raise RuntimeInvalid(f"Endpoint {name} can only receive asynchronous invocations.")
        if container is None:
            raise RuntimeInvalid(f"Endpoint {name} of account {identity.account()} has no healthy variant {variant}.")
        return variant, container

    def _known(self, name: str, variant: str | None):
        try:
            return self._endpoints.container(name, variant)
        except LookupError as error:
            raise RuntimeInvalid(str(error)) from error


def _addressed(path: str) -> tuple[str, str]:
    found = PATH.match(path)
    if not found:
        raise Invalid(f"No SageMaker operation at {path}")
    return unquote(found[1]), found[2]


def _check(headers: dict, body: bytes) -> None:
    if len(body) > MAX_BODY:
        raise RuntimeInvalid(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: "
            f"Member must have length less than or equal to {MAX_BODY}"
        )
    attributes = headers.get(_ATTRIBUTES, "")
    if len(attributes) > _MAX_ATTRIBUTES or not attributes.isascii():
        raise RuntimeInvalid(
            "1 validation error detected: Value at 'customAttributes' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_MAX_ATTRIBUTES}"
        )


def _forwarded(headers: dict, kind: str) -> dict[str, str]:
    """The headers that reach the container. Streamed and async requests name the types in headers of their own."""
    own = kind == "async-invocations"
    content_type = headers.get("x-amzn-sagemaker-content-type" if own else "content-type", "application/octet-stream")
    accept = headers.get("accept" if kind == "invocations" else "x-amzn-sagemaker-accept", "*/*")
    sent = {"Content-Type": content_type, "Accept": accept, "Accept-Encoding": "identity"}
    if headers.get(_ATTRIBUTES):
        sent["X-Amzn-SageMaker-Custom-Attributes"] = headers[_ATTRIBUTES]
    return sent


async def _relay(answer: httpx.Response, send) -> None:
    """Each chunk of the container becomes one PayloadPart, at once."""
    try:
        async with asyncio.timeout(STREAM_SECONDS):
            async for chunk in answer.aiter_raw():
                await send({"type": "http.response.body", "body": event_stream.payload_part(chunk), "more_body": True})
        last = b""
    except TimeoutError:
        last = event_stream.model_stream_error("ModelInvocationTimeExceeded", "The model did not finish in 480 s.")
    except httpx.HTTPError as error:
        last = event_stream.model_stream_error("StreamBroken", f"The connection to the model was closed: {error}")
    finally:
        await answer.aclose()
    await send({"type": "http.response.body", "body": last, "more_body": False})
