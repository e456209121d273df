"""SageMaker as a MiniStack service: one door for the control plane (JSON 1.1) and the runtime (REST)."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from .. import identity
from . import validation
from .async_invocations import AsyncInvocations
from .endpoints import Endpoints
from .faults import Denied, Fault, Invalid, answer
from .models import Models
from .records import Records
from .runtime import PATH, Runtime
from .training import TrainingJobs


class SageMaker:
    """What MiniStack calls of a service module: handle_request, get_state, load_persisted_state, reset."""

    def __init__(self, images: Path, scratch: Path, endpoint: str):
        self.records = Records()
        self.models = Models(self.records, images)
        self.training = TrainingJobs(self.records, images, scratch / "training", endpoint)
        self.endpoints = Endpoints(self.records, self.models, images, scratch / "endpoints", endpoint)
        self.later = AsyncInvocations(self.records, self.endpoints, self.models, endpoint)
        self._runtime = Runtime(self.endpoints, self.later)
        self._actions = {
            "CreateTrainingJob": self.training.create,
            "CreateModel": self.models.create_model,
        }
        self._plain_actions = {
            "DescribeTrainingJob": self.training.describe,
            "StopTrainingJob": self.training.stop,
            "ListTrainingJobs": self.training.list,
            "DescribeModel": self.models.describe_model,
            "DeleteModel": self.models.delete_model,
            "ListModels": self.models.list_models,
            "CreateEndpointConfig": self.models.create_config,
            "DescribeEndpointConfig": self.models.describe_config,
            "DeleteEndpointConfig": self.models.delete_config,
            "ListEndpointConfigs": self.models.list_configs,
            "CreateEndpoint": self.endpoints.create,
            "UpdateEndpoint": self.endpoints.update,
            "DescribeEndpoint": self.endpoints.describe,
            "DeleteEndpoint": self.endpoints.delete,
            "ListEndpoints": self.endpoints.list,
            "AddTags": self._add_tags,
            "DeleteTags": self._delete_tags,
            "ListTags": self._list_tags,
        }

    async def handle_request(self, method: str, path: str, headers: dict, body: bytes, query: dict) -> tuple:
        """(status, headers, body): the body is bytes, or MiniStack's StreamingResponse."""
        try:
            if PATH.match(path):
                return await self._runtime.handle(path, headers, body)
            action = headers.get("x-amz-target", "").rpartition(".")[2]
            reply = await asyncio.to_thread(self.call, action, _parsed(body), identity.access_key(headers, query))
            return 200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(reply).encode()
        except Fault as fault:
            return answer(fault)

    def call(self, action: str, request: dict, key: str) -> dict:
        """One control-plane action for the owner of the access key; raises Fault."""
        if not validation.known(action):
            raise Invalid(f"SageMaker has no action {action!r}.")
        validation.check(action, request)
        if action in self._actions:
            return self._actions[action](request, key)
        if action not in self._plain_actions:
            raise Invalid(f"{action} is not implemented on the embedded AWS.")
        self._also_authorise(action, request, key)
        return self._plain_actions[action](request)

    def _also_authorise(self, action: str, request: dict, key: str) -> None:
        """CreateEndpoint and UpdateEndpoint need their grant on the configuration too, not on the endpoint alone."""
        if action in ("CreateEndpoint", "UpdateEndpoint"):
            region, name = identity.region(), request["EndpointConfigName"].lower()
            arn = f"arn:aws:sagemaker:{region}:{identity.account()}:endpoint-config/{name}"
            denied = identity.refusal(key, f"sagemaker:{action}", arn, region)
            if denied:
                raise Denied(denied)

    def _add_tags(self, request: dict) -> dict:
        return {"Tags": self.records.tag(request["ResourceArn"], request["Tags"])}

    def _delete_tags(self, request: dict) -> dict:
        kept = [tag for tag in self.records.tags.get(request["ResourceArn"], []) if tag["Key"] not in request["TagKeys"]]
        self.records.tags[request["ResourceArn"]] = kept
        return {}

    def _list_tags(self, request: dict) -> dict:
        return {"Tags": self.records.tags.get(request["ResourceArn"], [])}

    def get_state(self) -> dict:
        return self.records.dump()

    def load_persisted_state(self, saved: dict) -> None:
        self.records.load(saved)

    def revive(self) -> None:
        """Before anybody can ask: records say what is so after a restart. Then `resume`."""
        self.endpoints.revive()

    def resume(self) -> None:
        self.training.resume()
        self.endpoints.resume()
        self.later.resume()

    def reset(self) -> None:
        self.stop()
        self.records.clear()

    def stop(self) -> None:
        self.training.end_all()
        self.endpoints.end_all()


def _parsed(body: bytes) -> dict:
    try:
        parsed = json.loads(body or b"{}")
    except ValueError as error:
        raise Invalid(f"The request body is not JSON: {error}") from error
    if not isinstance(parsed, dict):
        raise Invalid("The request body must be a JSON object.")
    return parsed


def resource_arn(action: str, path: str, body: bytes, region: str, account: str) -> str:
    """The ARN that IAM decides on, or "*" for actions without a resource (List*)."""
    found = PATH.match(path)
    if found:
        return f"arn:aws:sagemaker:{region}:{account}:endpoint/{found[1].lower()}"
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return "*"
    if action.startswith("List") and action != "ListTags":
        return "*"
    kinds = {"TrainingJobName": "training-job", "ModelName": "model", "EndpointName": "endpoint",
             "EndpointConfigName": "endpoint-config", "InferenceComponentName": "inference-component"}  # fmt: skip
    if request.get("ResourceArn"):
        return str(request["ResourceArn"])
    for member, kind in kinds.items():
        if isinstance(request.get(member), str):
            return f"arn:aws:sagemaker:{region}:{account}:{kind}/{request[member].lower()}"
    return "*"
