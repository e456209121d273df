"""One hosted container: the image's entry point as a process that answers /ping and /invocations on a free port."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from pathlib import Path

import httpx

from .. import identity
from ..processes import Process, free_port
from ..telemetry import LogStream
from . import images
from .storage import Storage

_log = logging.getLogger("openledger")
STARTUP_SECONDS = 480.0
_STOP_GRACE_SECONDS = 30.0  # open-lora.md: SIGTERM drains in at most 30 s
_RESTARTS_BEFORE_IT_IS_DOWN = 3


class ContainerDown(RuntimeError):
    """The container did not answer /ping with 200 in time, or kept exiting."""


class HostedContainer:
    """Keeps one process of a model's container alive until `stop`. A process that dies is started again."""

    def __init__(self, model: dict, images_root: Path, folder: Path, endpoint: str, stream: LogStream):
        self._model = model
        self._images = images_root
        self._folder = folder
        self._endpoint = endpoint
        self._stream = stream
        self._stopped = threading.Event()
        self._process: Process | None = None
        self.port = 0
        self.ready = False

    def start(self, seconds: float) -> None:
        """Start the process and wait for its first healthy /ping, or raise ContainerDown with the reason."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._fetch_artifacts()
        self._spawn()
        deadline, exits = time.monotonic() + seconds, 0
        while not self._healthy():
            if self._stopped.is_set():
                raise ContainerDown("The endpoint was deleted while it was being created.")
            if self._process is not None and not self._process.running():
                exits += 1
                if exits >= _RESTARTS_BEFORE_IT_IS_DOWN:
                    self.stop()
                    raise ContainerDown(self._reason(f"exited with code {self._process.wait()}"))
                self._spawn()
            if time.monotonic() > deadline:
                self.stop()
                raise ContainerDown(self._reason(f"did not pass the ping health check in {int(seconds)} s"))
            time.sleep(0.1)
        self.ready = True
        threading.Thread(target=self._keep_alive, name="openledger-endpoint", daemon=True).start()

    def stop(self) -> None:
        """SIGTERM; the tether follows with SIGKILL after the drain time."""
        self._stopped.set()
        self.ready = False
        if self._process is not None:
            self._process.stop()

    def end(self) -> None:
        """The emulator stops: no draining."""
        self._stopped.set()
        self.ready = False
        if self._process is not None:
            self._process.end()

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait(_STOP_GRACE_SECONDS + 5)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def _keep_alive(self) -> None:
        """SageMaker replaces a container whose process ended."""
        while not self._stopped.wait(0.5):
            if self._process is not None and not self._process.running():
                self.ready = False
                self._stream.write(f"container exited with code {self._process.wait()}: starting it again")
                self._spawn()
            if not self.ready:
                self.ready = self._healthy()

    def _spawn(self) -> None:
        container = self._model["PrimaryContainer"]
        image = images.find(self._images, container["Image"])
        self.port = free_port()
        _, _, _, region, _, _ = self._model["ModelArn"].split(":", 5)
        env = {**image.environment, **container.get("Environment", {})}
        env |= {"SAGEMAKER_BIND_TO_PORT": str(self.port), "SAGEMAKER_BASE_DIR": str(self._folder)}
        env |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        if not self._model.get("EnableNetworkIsolation"):
            credentials = identity.role_session(self._model["ExecutionRoleArn"], "SageMaker")
            env |= {**credentials, "AWS_ENDPOINT_URL": self._endpoint}
        command = images.runnable([*image.command, "serve"])  # `docker run IMAGE serve`
        self._process = Process(command, env, self._folder, self._stream.write, _STOP_GRACE_SECONDS)

    def _fetch_artifacts(self) -> None:
        container = self._model["PrimaryContainer"]
        source = container.get("ModelDataSource", {}).get("S3DataSource")
        if not source and not container.get("ModelDataUrl"):
            return
        _, _, _, region, _, _ = self._model["ModelArn"].split(":", 5)
        storage = Storage(
            self._endpoint, region, identity.role_session(self._model["ExecutionRoleArn"], "SageMaker")
        )
        target = self._folder / "model"
        target.mkdir(exist_ok=True)
        if source and source["S3DataType"] == "S3Prefix" and source["CompressionType"] == "None":
            storage.download_prefix(source["S3Uri"], target)
        else:
            uri = source["S3Uri"] if source else container["ModelDataUrl"]
            storage.extract_archive(uri, target, self._folder / "model.tar.gz")

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ping", timeout=2.0, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def _reason(self, what: str) -> str:
        return f"The primary container for production variant {what}. Last lines: {self._stream.tail()}"
