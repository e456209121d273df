"""Every hook, installed in order; reads as the list of what the embedded AWS adds to MiniStack."""

from __future__ import annotations

import logging
import socket
import threading
import time

from . import seam
from .hooks import (
    background_roles,
    cloudformation,
    control,
    gateway_responses,
    in_flight_messages,
    lambda_worker,
    logs_arns,
    response_streaming,
    resumption,
    sagemaker_service,
    secret_refs,
    secure_transport,
    sqs_batches,
    state_machines,
    stream_records,
    transaction_conflicts,
)
from .object_undo import ObjectUndo
from .sagemaker.service import SageMaker
from .settings import Settings
from .snapshots import Snapshots, copy_under_load

_GATEWAY_SECONDS = 60.0
_log = logging.getLogger("openledger")
_running: list[SageMaker] = []
_saving: list[Snapshots] = []


def install(settings: Settings) -> SageMaker:
    """Install all hooks into the MiniStack of this process; raises seam.MiniStackMoved when one no longer fits."""
    if seam.version() != seam.TESTED_VERSION:
        _log.warning("MiniStack %s is not the tested %s", seam.version(), seam.TESTED_VERSION)
    service = SageMaker(settings.images, settings.state / "tmp", settings.endpoint)
    sagemaker_service.install(service)
    cloudformation.install(service)
    secret_refs.install()
    state_machines.install(service)
    background_roles.install()
    lambda_worker.install()
    lambda_worker.mirror_errors()
    secure_transport.install()
    logs_arns.install()
    sqs_batches.install()
    in_flight_messages.install()
    stream_records.install()
    transaction_conflicts.install()
    copy_under_load()
    objects = ObjectUndo(settings.object_undo)
    objects.install()
    snapshots = Snapshots(objects)
    _saving.append(snapshots)
    response_streaming.install()
    gateway_responses.install()
    app = response_streaming.wrap(seam.need("app", "app", "assembly"))
    saves = {"save": snapshots.save, "stage": snapshots.stage, "commit": snapshots.commit}
    app = control.wrap(app, settings.control_token, saves, lambda: processes(service))
    seam.replace("app", "app", _after_start(app, service, settings.port, snapshots), "assembly")
    _running.append(service)
    return service


def processes(service: SageMaker) -> dict:
    """What runs for endpoints now: variant -> pid and port, by endpoint."""
    return service.endpoints.running()


def stop() -> None:
    """End the jobs, containers and functions; called when the server has stopped and saved."""
    for snapshots in _saving:
        snapshots.stop()
    for service in _running:
        service.stop()
    # Node workers would end by themselves when their pipes close, a moment after whoever asked `npm start` to stop.
    seam.need("core.lambda_runtime", "reset", "assembly")()


def _resume(service: SageMaker, revived: list[dict], port: int) -> None:
    """A job that goes on reads S3 through the gateway. hypercorn says that its start is complete before it listens."""
    deadline = time.monotonic() + _GATEWAY_SECONDS
    while not _accepts(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    service.resume()
    resumption.resume_executions(revived)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _after_start(app, service: SageMaker, port: int, snapshots: Snapshots):
    """Once the gateway accepts requests: bring persisted endpoints up again and begin to take snapshots."""

    async def started(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return

        async def watch(message):
            if message["type"] != "lifespan.startup.complete":
                await send(message)
                return
            service.revive()  # before anybody can ask, and hear that executions failed and endpoints are in service
            revived = resumption.revive_executions()
            await send(message)
            threading.Thread(target=_resume, args=(service, revived, port), name="openledger-resume", daemon=True).start()
            snapshots.start()

        await app(scope, receive, watch)

    return started
