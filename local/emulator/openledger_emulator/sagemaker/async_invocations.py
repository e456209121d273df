"""InvokeEndpointAsync: a request waits as a record until its outcome is in S3, so that no stop or kill loses one.

SageMaker developer guide, "Asynchronous inference": requests are queued, also while the endpoint has no instance, and the
outcome is an object at the output or at the failure location. Limits of the headers: API_runtime_InvokeEndpointAsync.
"""

from __future__ import annotations

import base64
import contextvars
import json
import logging
import threading
import time
import uuid

import httpx
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as S3ConnectionError

from .. import identity
from ..seam import need
from .endpoints import Endpoints
from .faults import RuntimeInvalid
from .hosted import HostedContainer
from .models import Models
from .records import Records
from .storage import Storage

_MAX_INLINE = 128_000
_AT_ONCE = 4  # SageMaker chooses a number where the configuration has none
_log = logging.getLogger("openledger")


class AsyncInvocations:
    """A queue for each endpoint, first in, first out, as many at once as MaxConcurrentInvocationsPerInstance says."""

    def __init__(self, records: Records, endpoints: Endpoints, models: Models, gateway: str):
        self._records = records
        self._endpoints = endpoints
        self._models = models
        self._gateway = gateway
        self._lock = threading.Lock()
        self._taken: set[str] = set()
        self._carriers: dict[str, int] = {}

    def accept(self, name: str, headers: dict, body: bytes, forwarded: dict[str, str]) -> tuple[int, dict, bytes]:
        """202 at once, also while no container is up. Raises RuntimeInvalid for what SageMaker refuses."""
        config, source = self._endpoints.config_of(name), headers.get("x-amzn-sagemaker-inputlocation", "")
        if not config.get("AsyncInferenceConfig"):
            raise RuntimeInvalid(f"Endpoint {name} has no AsyncInferenceConfig.")
        if bool(source) == bool(body):
            raise RuntimeInvalid("Exactly one of InputLocation and Body is required.")
        if len(body) > _MAX_INLINE:
            raise RuntimeInvalid(f"An inline Body holds at most {_MAX_INLINE} bytes.")
        for unknown in ("s3outputpathextension", "filename"):
            if f"x-amzn-sagemaker-{unknown}" in headers:
                raise RuntimeInvalid(f"{unknown} is not implemented on the embedded AWS.")
        output = config["AsyncInferenceConfig"]["OutputConfig"]
        inference = headers.get("x-amzn-sagemaker-inference-id") or str(uuid.uuid4())
        # Names of the objects are SageMaker's own, and none that a caller could guess.
        stem = str(uuid.uuid4())
        record = {
            "EndpointName": name,
            "EndpointArn": self._endpoints.arn_of(name),
            "RoleArn": self._models.model(config["ProductionVariants"][0]["ModelName"])["ExecutionRoleArn"],
            "AtOnce": config["AsyncInferenceConfig"].get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", _AT_ONCE),
            "InputLocation": source,
            "Body": base64.b64encode(body).decode(),
            "Headers": forwarded,
            "OutputLocation": f"{output['S3OutputPath'].rstrip('/')}/{stem}.out",
            "FailureLocation": f"{output.get('S3FailurePath', output['S3OutputPath']).rstrip('/')}/{stem}-error.out",
            "ExpiresAt": time.time() + _seconds(headers, "requestttlseconds", 60, 21_600, 21_600),
            "Running": _seconds(headers, "invocationtimeoutseconds", 1, 3600, 900),
        }  # fmt: skip
        self._records.async_requests[stem] = record
        self._carry_on(record)
        reply = {"Content-Type": "application/json", "X-Amzn-SageMaker-OutputLocation": record["OutputLocation"]}
        reply["X-Amzn-SageMaker-FailureLocation"] = record["FailureLocation"]
        return 202, reply, json.dumps({"InferenceId": inference}).encode()

    def resume(self) -> None:
        """After a restart: what has no outcome yet goes on, what was half done once more."""
        scope = need("core.responses", "request_scope", "asynchronous invocations")
        for record in list(self._records.async_requests.all_values()):
            _, _, _, region, account, _ = record["EndpointArn"].split(":", 5)
            with scope(account, region):
                self._carry_on(record)

    def _carry_on(self, record: dict) -> None:
        arn = record["EndpointArn"]
        with self._lock:
            if self._carriers.get(arn, 0) >= record["AtOnce"]:
                return
            self._carriers[arn] = self._carriers.get(arn, 0) + 1
        context = contextvars.copy_context()
        name = f"openledger-async-{record['EndpointName']}"
        threading.Thread(target=context.run, args=(self._carry, arn), name=name, daemon=True).start()

    def _carry(self, arn: str) -> None:
        while key := self._take(arn):
            try:
                if self._outcome(self._records.async_requests[key]):
                    self._records.async_requests.pop(key, None)
                else:
                    time.sleep(1)  # S3 is away: the emulator stops, or has just started
            finally:
                with self._lock:
                    self._taken.discard(key)

    def _take(self, arn: str) -> str | None:
        with self._lock:
            for key, record in list(self._records.async_requests.items()):
                if record["EndpointArn"] == arn and key not in self._taken:
                    self._taken.add(key)
                    return key
            self._carriers[arn] -= 1
            return None

    def _outcome(self, record: dict) -> bool:
        """Ask and write what came of it, with the role of the endpoint. False when nothing could be written."""
        region = record["EndpointArn"].split(":")[3]
        storage = Storage(self._gateway, region, identity.role_session(record["RoleArn"], "SageMaker"))
        try:
            try:
                answer = self._ask(storage, record)
                kind = answer.headers.get("content-type", "application/octet-stream")
                storage.write(record["OutputLocation"], answer.content, kind)
            except (_Failed, LookupError, httpx.HTTPError) as error:
                storage.write(record["FailureLocation"], str(error).encode(), "text/plain")
        except (S3ConnectionError, HTTPClientError):
            return False
        except Exception as error:  # the role may not read or write there: SageMaker tells nobody either
            _log.warning("asynchronous invocation of %s: %s", record["EndpointName"], error)
        return True

    def _ask(self, storage: Storage, record: dict) -> httpx.Response:
        container = self._when_up(record)
        try:
            body = base64.b64decode(record["Body"]) or storage.read(record["InputLocation"])
        except ClientError as error:
            raise _Failed(f"Could not download {record['InputLocation']}: {error}") from error
        with httpx.Client(trust_env=False, timeout=record["Running"]) as client:
            answer = client.post(f"{container.url}/invocations", content=body, headers=record["Headers"])
        if answer.status_code >= 400:
            side = "client" if answer.status_code < 500 else "server"
            raise _Failed(f'Received {side} error ({answer.status_code}) from the model with message "{answer.text[:4096]}".')
        return answer

    def _when_up(self, record: dict) -> HostedContainer:
        """SageMaker keeps requests while there is no instance, until their time in the queue is over."""
        while time.time() < record["ExpiresAt"]:
            _, container = self._endpoints.container(record["EndpointName"], None)
            if container is not None:
                return container
            time.sleep(0.2)
        raise _Failed("The request expired in the queue.")


class _Failed(RuntimeError):
    """What the failure location says."""


def _seconds(headers: dict, name: str, least: int, most: int, default: int) -> int:
    text = headers.get(f"x-amzn-sagemaker-{name}", str(default))
    if not text.isdigit() or not least <= int(text) <= most:
        raise RuntimeInvalid(f"1 validation error detected: Value at '{name}' must lie between {least} and {most}")
    return int(text)
