"""Endpoints: one hosted container for each production variant of the configuration."""

from __future__ import annotations

import contextvars
import threading
import time
from pathlib import Path

from .. import identity, telemetry
from ..seam import need
from .faults import Invalid
from .hosted import STARTUP_SECONDS, ContainerDown, HostedContainer
from .models import Models, page_of
from .records import Records, now


class Endpoints:
    """CreateEndpoint, UpdateEndpoint, DescribeEndpoint, DeleteEndpoint and ListEndpoints."""

    def __init__(self, records: Records, models: Models, images_root: Path, scratch: Path, endpoint: str):
        self._records = records
        self._models = models
        self._images = images_root
        self._scratch = scratch
        self._endpoint = endpoint
        self._containers: dict[str, dict[str, HostedContainer]] = {}

    def create(self, request: dict) -> dict:
        name = request["EndpointName"]
        arn = f"arn:aws:sagemaker:{identity.region()}:{identity.account()}:endpoint/{name.lower()}"
        self._models.config(request["EndpointConfigName"])
        with self._records.lock:
            if name in self._records.endpoints:
                raise Invalid(f'Cannot create already existing endpoint "{arn}".')
            record = {"EndpointName": name, "EndpointArn": arn, "EndpointConfigName": request["EndpointConfigName"]}
            record |= {"CreationTime": now(), "LastModifiedTime": now(), "EndpointStatus": "Creating"}
            self._records.endpoints[name] = record
            if request.get("Tags"):
                self._records.tag(arn, request["Tags"])
        self._in_background(self._bring_up, record)
        return {"EndpointArn": arn}

    def update(self, request: dict) -> dict:
        """The new containers come up beside the old ones; traffic moves when all of them are healthy."""
        record = self._record(request["EndpointName"])
        self._models.config(request["EndpointConfigName"])
        if record["EndpointStatus"] not in ("InService", "Failed"):
            raise Invalid(f"Cannot update in-progress endpoint \"{record['EndpointArn']}\".")
        record["EndpointConfigName"] = request["EndpointConfigName"]
        self._status(record, "Updating")
        self._in_background(self._bring_up, record)
        return {"EndpointArn": record["EndpointArn"]}

    def describe(self, request: dict) -> dict:
        record = dict(self._record(request["EndpointName"]))
        config = self._records.endpoint_configs.get(record["EndpointConfigName"], {})
        record["ProductionVariants"] = [
            {
                "VariantName": variant["VariantName"],
                "CurrentWeight": variant.get("InitialVariantWeight", 1.0),
                "DesiredWeight": variant.get("InitialVariantWeight", 1.0),
                "CurrentInstanceCount": variant.get("InitialInstanceCount", 1),
                "DesiredInstanceCount": variant.get("InitialInstanceCount", 1),
            }
            for variant in config.get("ProductionVariants", [])
        ]
        return record

    def delete(self, request: dict) -> dict:
        record = self._record(request["EndpointName"])
        self._status(record, "Deleting")
        self._in_background(self._take_down, record)
        return {}

    def list(self, request: dict) -> dict:
        fields = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
        return page_of(self._records.endpoints, request, "Endpoints", fields, "EndpointName")

    def container(self, name: str, variant: str | None) -> tuple[str, HostedContainer | None]:
        """(variant name, its container or None while it is down). The first variant answers when none is asked for."""
        record = self._records.endpoints.get(name)
        if record is None:
            raise LookupError(f"Endpoint {name} of account {identity.account()} not found.")
        containers = self._containers.get(record["EndpointArn"], {})
        chosen = variant or next(iter(containers), "AllTraffic")
        found = containers.get(chosen)
        return chosen, found if found is not None and found.ready else None

    def config_of(self, name: str) -> dict:
        return self._records.endpoint_configs.get(self._records.endpoints[name]["EndpointConfigName"], {})

    def arn_of(self, name: str) -> str:
        return self._records.endpoints[name]["EndpointArn"]

    def revive(self) -> None:
        """After a restart: nothing is in service yet, whatever the record says."""
        for record in self._records.endpoints.all_values():
            if record["EndpointStatus"] not in ("Deleting", "Failed"):
                record["EndpointStatus"] = "Creating"

    def resume(self) -> None:
        """After a restart: every endpoint that was up, or coming up, comes up again from its record."""
        scope = need("core.responses", "request_scope", "endpoints")
        for record in list(self._records.endpoints.all_values()):
            _, _, _, region, account, _ = record["EndpointArn"].split(":", 5)
            with scope(account, region):
                if record["EndpointStatus"] == "Deleting":
                    self._take_down(record)
                elif record["EndpointStatus"] != "Failed":
                    self._in_background(self._bring_up, record)

    def running(self) -> dict:
        """endpoint ARN -> variant -> {pid, port, ready}, for the control route."""
        return {
            arn: {name: {"pid": one.pid, "port": one.port, "ready": one.ready} for name, one in group.items()}
            for arn, group in self._containers.items()
            if group
        }

    def end_all(self) -> None:
        """The emulator stops: end the processes at once. The records stay as they are, for `resume`."""
        for container in [one for group in self._containers.values() for one in group.values()]:
            container.end()

    def _bring_up(self, record: dict) -> None:
        arn, config = record["EndpointArn"], self._records.endpoint_configs.get(record["EndpointConfigName"], {})
        previous, started = self._containers.get(arn, {}), {}
        try:
            for variant in config.get("ProductionVariants", []):
                if "ModelName" in variant:
                    started[variant["VariantName"]] = self._host(record, variant)
        except Exception as error:
            for container in started.values():
                container.stop()
            record["FailureReason"] = str(error)[:1024]
            self._status(record, "Failed" if isinstance(error, ContainerDown) or not previous else "InService")
            return
        self._containers[arn] = started
        record.pop("FailureReason", None)
        if record["EndpointStatus"] == "Deleting":
            self._take_down(record)
            return
        self._status(record, "InService")
        for container in previous.values():
            container.stop()
            container.wait()

    def _host(self, record: dict, variant: dict) -> HostedContainer:
        _, _, _, region, account, _ = record["EndpointArn"].split(":", 5)
        name, stamp = record["EndpointName"], f"{int(time.time() * 1000):x}"
        stream = telemetry.LogStream(
            account, region, f"/aws/sagemaker/Endpoints/{name}", f"{variant['VariantName']}/i-{stamp}"
        )
        folder = self._scratch / f"{name}-{variant['VariantName']}-{stamp}"
        model = self._models.model(variant["ModelName"])
        container = HostedContainer(model, self._images, folder, self._endpoint, stream)
        self._containers.setdefault(f"{record['EndpointArn']}#starting", {})[stamp] = container
        try:
            container.start(variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP_SECONDS))
        finally:
            self._containers[f"{record['EndpointArn']}#starting"].pop(stamp)
        return container

    def _take_down(self, record: dict) -> None:
        for key in (record["EndpointArn"], f"{record['EndpointArn']}#starting"):
            for container in self._containers.pop(key, {}).values():
                container.stop()
                container.wait()
        self._records.endpoints.pop(record["EndpointName"], None)
        self._records.tags.pop(record["EndpointArn"], None)
        self._announce({**record, "EndpointStatus": "Deleted"})

    def _record(self, name: str) -> dict:
        record = self._records.endpoints.get(name)
        if record is None:
            arn = f"arn:aws:sagemaker:{identity.region()}:{identity.account()}:endpoint/{name.lower()}"
            raise Invalid(f'Could not find endpoint "{arn}".')
        return record

    def _status(self, record: dict, status: str) -> None:
        record |= {"EndpointStatus": status, "LastModifiedTime": now()}
        self._announce(record)

    def _announce(self, record: dict) -> None:
        _, _, _, region, account, _ = record["EndpointArn"].split(":", 5)
        shown = {"InService": "IN_SERVICE"}.get(record["EndpointStatus"], record["EndpointStatus"].upper())
        detail = {**record, "EndpointStatus": shown}
        telemetry.publish(account, region, "SageMaker Endpoint State Change", detail, record["EndpointArn"])

    def _in_background(self, work, record: dict) -> None:
        context = contextvars.copy_context()
        name = f"openledger-{work.__name__}-{record['EndpointName']}"
        threading.Thread(target=context.run, args=(work, record), name=name, daemon=True).start()
