"""Hook: CloudFormation types that a customer's stack has and MiniStack lacks.

SageMaker types are made through the same code as the API. Types without any effect on the loop (a web ACL's
association, a trail, a budget) are recorded, so that Ref and GetAtt work and a delete finds them.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from .. import identity
from ..sagemaker.service import SageMaker
from ..seam import need

HOOK = "cloudformation types"
_SETTLE_SECONDS = 600


def install(service: SageMaker) -> None:
    """Add the types that are missing; a type that MiniStack has learnt by now keeps MiniStack's own handler."""
    handlers = need("services.cloudformation.provisioners", "_RESOURCE_HANDLERS", HOOK)
    for name, handler in {**_sagemaker(service), **_recorded()}.items():
        handlers.setdefault(name, handler)


def _sagemaker(service: SageMaker) -> dict[str, dict]:
    def create(kind: str, attributes: Callable[[str, str], dict]):
        def made(logical_id, props, stack):
            name = props.get(f"{kind}Name") or f"{stack}-{logical_id}-{uuid.uuid4().hex[:12]}"[:63]
            arn = service.call(f"Create{kind}", {**props, f"{kind}Name": name}, "test")[f"{kind}Arn"]
            if kind == "Endpoint":
                _settle(service, name)
            return arn, attributes(name, arn)

        return made

    def delete(kind: str):
        def deleted(physical_id, props):
            name = physical_id.rsplit("/", 1)[-1]
            service.call(f"Delete{kind}", {f"{kind}Name": _exact(service, kind, name)}, "test")

        return deleted

    return {
        f"AWS::SageMaker::{kind}": {
            "create": create(kind, lambda name, arn, kind=kind: {f"{kind}Name": name, f"{kind}Arn": arn}),
            "delete": delete(kind),
        }
        for kind in ("Model", "EndpointConfig", "Endpoint")
    }


def _exact(service: SageMaker, kind: str, lowered: str) -> str:
    """ARNs carry the name in lower case; the API wants it as it was given."""
    store = {"Model": service.records.models, "EndpointConfig": service.records.endpoint_configs,
             "Endpoint": service.records.endpoints}[kind]  # fmt: skip
    return next((name for name in store if name.lower() == lowered), lowered)


def _settle(service: SageMaker, name: str) -> None:
    """CloudFormation waits for an endpoint to be in service."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        record = service.endpoints.describe({"EndpointName": name})
        if record["EndpointStatus"] == "InService":
            return
        if record["EndpointStatus"] == "Failed":
            raise ValueError(f"Endpoint {name} failed: {record.get('FailureReason')}")
        time.sleep(0.2)
    raise ValueError(f"Endpoint {name} was not in service after {_SETTLE_SECONDS} s")


def _recorded() -> dict[str, dict]:
    """Physical id and attributes of types whose effect is outside of the embedded AWS."""

    def arn(service: str, resource: str) -> str:
        return f"arn:aws:{service}:{identity.region()}:{identity.account()}:{resource}"

    def record(identify: Callable[[str, dict], tuple[str, dict]]) -> dict:
        return {
            "create": lambda logical_id, props, stack: identify(f"{stack}-{logical_id}", props),
            "update": lambda physical_id, old, new, stack: (physical_id, identify(physical_id, new)[1]),
            "delete": lambda physical_id, props: None,
        }

    def association(name: str, props: dict) -> tuple[str, dict]:
        return f"{props['WebACLArn']}|{props['ResourceArn']}", {}

    def trail(name: str, props: dict) -> tuple[str, dict]:
        own = props.get("TrailName", name)
        return own, {"Arn": arn("cloudtrail", f"trail/{own}"), "SnsTopicArn": ""}

    plain = record(lambda name, props: (name, {"Arn": name, "Id": name}))
    return {
        "AWS::WAFv2::WebACLAssociation": record(association),
        "AWS::WAFv2::LoggingConfiguration": record(lambda name, props: (props["ResourceArn"], {})),
        "AWS::CloudTrail::Trail": record(trail),
        "AWS::Budgets::Budget": plain,
        "AWS::ApplicationAutoScaling::ScalableTarget": plain,
        "AWS::ApplicationAutoScaling::ScalingPolicy": plain,
        "AWS::CloudWatch::CompositeAlarm": plain,
        "AWS::Logs::QueryDefinition": plain,
    }
