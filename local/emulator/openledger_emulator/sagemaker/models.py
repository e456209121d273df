"""Models and endpoint configurations: named, immutable records that endpoints are made of."""

from __future__ import annotations

from pathlib import Path

from .. import identity
from . import images
from .faults import Denied, Invalid
from .records import Records, now


class Models:
    """Create, describe, list and delete of models and of endpoint configurations."""

    def __init__(self, records: Records, images_root: Path):
        self._records = records
        self._images = images_root

    def create_model(self, request: dict, key: str) -> dict:
        name, region = request["ModelName"], identity.region()
        if "PrimaryContainer" not in request:
            raise Invalid("The embedded AWS hosts models with one PrimaryContainer; Containers is not supported.")
        denied = identity.pass_role_refusal(key, request.get("ExecutionRoleArn", ""), "sagemaker.amazonaws.com", region)
        if denied:
            raise Denied(denied) if "iam:PassRole" in denied else Invalid(denied)
        try:
            images.find(self._images, request["PrimaryContainer"].get("Image", ""))
        except images.ImageNotFound as error:
            raise Invalid(str(error)) from error
        arn = self._arn("model", name)
        with self._records.lock:
            if name in self._records.models:
                raise Invalid(f'Cannot create already existing model "{arn}".')
            fields = {field: value for field, value in request.items() if field != "Tags"}
            self._records.models[name] = {"EnableNetworkIsolation": False, **fields, "ModelArn": arn, "CreationTime": now()}
            self._tag(arn, request)
        return {"ModelArn": arn}

    def describe_model(self, request: dict) -> dict:
        return dict(self.model(request["ModelName"]))

    def delete_model(self, request: dict) -> dict:
        arn = self.model(request["ModelName"])["ModelArn"]
        self._records.models.pop(request["ModelName"])
        self._records.tags.pop(arn, None)
        return {}

    def list_models(self, request: dict) -> dict:
        fields = ("ModelName", "ModelArn", "CreationTime")
        return page_of(self._records.models, request, "Models", fields, "ModelName")

    def create_config(self, request: dict) -> dict:
        name = request["EndpointConfigName"]
        arn = self._arn("endpoint-config", name)
        variants = [variant["VariantName"] for variant in request["ProductionVariants"]]
        if len(set(variants)) != len(variants):
            raise Invalid("Production variant names must be unique within an endpoint configuration.")
        for variant in request["ProductionVariants"]:
            if "ModelName" in variant:
                self.model(variant["ModelName"])
            if "InstanceType" not in variant and "ServerlessConfig" not in variant:
                raise Invalid(f"Variant {variant['VariantName']} needs an InstanceType or a ServerlessConfig.")
        with self._records.lock:
            if name in self._records.endpoint_configs:
                raise Invalid(f'Cannot create already existing endpoint configuration "{arn}".')
            fields = {field: value for field, value in request.items() if field != "Tags"}
            self._records.endpoint_configs[name] = {**fields, "EndpointConfigArn": arn, "CreationTime": now()}
            self._tag(arn, request)
        return {"EndpointConfigArn": arn}

    def describe_config(self, request: dict) -> dict:
        return dict(self.config(request["EndpointConfigName"]))

    def delete_config(self, request: dict) -> dict:
        arn = self.config(request["EndpointConfigName"])["EndpointConfigArn"]
        self._records.endpoint_configs.pop(request["EndpointConfigName"])
        self._records.tags.pop(arn, None)
        return {}

    def list_configs(self, request: dict) -> dict:
        fields = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
        return page_of(self._records.endpoint_configs, request, "EndpointConfigs", fields, "EndpointConfigName")

    def model(self, name: str) -> dict:
        found = self._records.models.get(name)
        if found is None:
            raise Invalid(f'Could not find model "{self._arn("model", name)}".')
        return found

    def config(self, name: str) -> dict:
        found = self._records.endpoint_configs.get(name)
        if found is None:
            raise Invalid(f'Could not find endpoint configuration "{self._arn("endpoint-config", name)}".')
        return found

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{identity.region()}:{identity.account()}:{kind}/{name.lower()}"

    def _tag(self, arn: str, request: dict) -> None:
        if request.get("Tags"):
            self._records.tag(arn, request["Tags"])


def page_of(store, request: dict, member: str, fields: tuple[str, ...], name: str) -> dict:
    found = [record for record in store.values() if request.get("NameContains", "") in record[name]]
    found.sort(key=lambda record: record["CreationTime"], reverse=request.get("SortOrder", "Descending") == "Descending")
    start, size = int(request.get("NextToken", "0")), request.get("MaxResults", 10)
    page = [{field: record[field] for field in fields if field in record} for record in found[start : start + size]]
    return {member: page, **({"NextToken": str(start + size)} if start + size < len(found) else {})}


