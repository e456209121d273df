"""One training job from Starting to its end: download, run the image's entry point, upload."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .. import identity
from ..processes import Process
from ..telemetry import LogStream
from . import images
from .job_directory import FAILURE_REASON_CHARACTERS, JobDirectory
from .records import now
from .storage import Storage

_log = logging.getLogger("openledger")
_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_STOP_GRACE_SECONDS = 120.0  # SageMaker sends SIGTERM and waits 120 s before SIGKILL
_DEFAULT_MAX_RUNTIME = 86_400
_CHECKPOINT_SECONDS = 10.0


class TrainingRun:
    """Drives `job`, a record of TrainingJobs, in a thread of its own. `changed` hears of every status."""

    def __init__(self, job: dict, images_root: Path, folder: Path, endpoint: str, changed: Callable[[dict], None]):
        self._job = job
        self._images = images_root
        self._folder = JobDirectory(folder)
        self._endpoint = endpoint
        self._changed = changed
        self._asked_to_stop = threading.Event()
        self._process: Process | None = None
        self._ended = False

    def run(self) -> None:
        """Never raises: whatever goes wrong becomes the job's failure reason."""
        try:
            self._run()
        except FileNotFoundError as error:
            self._finish("Failed", f"ClientError: {error}")
        except images.ImageNotFound as error:
            self._finish("Failed", f"ClientError: {error}")
        except Exception as error:
            _log.exception("training job %s", self._job["TrainingJobName"])
            self._finish("Failed", f"ClientError: {error}")
        finally:
            shutil.rmtree(self._folder.root, ignore_errors=True)

    def stop(self) -> None:
        """StopTrainingJob: SIGTERM, 120 s for a last checkpoint, then SIGKILL. Artifacts made so far are kept."""
        if self._job["TrainingJobStatus"] == "InProgress":
            self._job["TrainingJobStatus"] = "Stopping"
            self._enter("Stopping", "Stopping the training job")
        self._asked_to_stop.set()

    def end(self) -> None:
        """The emulator stops. The job's record is not touched: it starts again with the next emulator."""
        self._ended = True
        if self._process is not None:
            self._process.end()

    def _run(self) -> None:
        job = self._job
        self._enter("Starting", "Preparing the instances for training")
        image = images.find(self._images, job["AlgorithmSpecification"]["TrainingImage"])
        _, _, _, region, account, _ = job["TrainingJobArn"].split(":", 5)
        credentials = identity.role_session(job["RoleArn"], "SageMaker")
        storage = Storage(self._endpoint, region, credentials)
        stream = LogStream(account, region, _LOG_GROUP, f"{job['TrainingJobName']}/algo-1-{int(time.time())}")
        self._folder.prepare(job)
        self._enter("Downloading", "Downloading input data")
        self._folder.download(job, storage)
        self._enter("Training", "Training image download completed. Training in progress.")
        started = now()
        job["TrainingStartTime"] = started
        code, outcome = self._train(image, region, credentials, storage, stream)
        if self._ended:
            return
        seconds = int(now() - started)
        job |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        self._folder.save_checkpoints(job, storage)
        if outcome == "Completed" and code != 0:
            reason = self._folder.failure() or stream.tail()
            self._finish("Failed", f"AlgorithmError: {reason}, exit code: {code}")
            return
        if any(self._folder.model.iterdir()) or outcome == "Completed":
            self._enter("Uploading", "Uploading generated training model")
            job["ModelArtifacts"] = {"S3ModelArtifacts": self._folder.upload(job, storage)}
        self._finish(outcome)

    def _train(self, image, region: str, credentials: dict, storage: Storage, stream: LogStream) -> tuple[int, str]:
        """Exit code of the entry point, and how it came to its end: Completed, Stopped or MaxRuntimeExceeded."""
        job = self._job
        process = self._process = Process(
            self._command(image), self._environment(image, region, credentials), self._folder.root, stream.write,
            _STOP_GRACE_SECONDS,
        )  # fmt: skip
        limit = job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DEFAULT_MAX_RUNTIME)
        deadline, saved, outcome = time.monotonic() + limit, time.monotonic(), "Completed"
        while (code := process.wait(0.2)) is None:
            if outcome == "Completed" and (self._asked_to_stop.is_set() or time.monotonic() > deadline):
                outcome = "Stopped" if self._asked_to_stop.is_set() else "MaxRuntimeExceeded"
                process.stop()
            if time.monotonic() - saved > _CHECKPOINT_SECONDS:
                self._folder.save_checkpoints(job, storage)
                saved = time.monotonic()
        return code, outcome

    def _command(self, image: images.Image) -> list[str]:
        """`docker run IMAGE train`: an exec-form ENTRYPOINT gets the word `train` as its last argument."""
        algorithm = self._job["AlgorithmSpecification"]
        entry = algorithm.get("ContainerEntrypoint")
        return images.runnable([*entry, *algorithm.get("ContainerArguments", [])] if entry else [*image.command, "train"])

    def _environment(self, image: images.Image, region: str, credentials: dict) -> dict[str, str]:
        job = self._job
        env = {**image.environment, **job.get("Environment", {}), "SAGEMAKER_BASE_DIR": str(self._folder.root)}
        env |= {"TRAINING_JOB_NAME": job["TrainingJobName"], "TRAINING_JOB_ARN": job["TrainingJobArn"]}
        env |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        if not job.get("EnableNetworkIsolation"):  # an isolated container has no way to AWS, and no credentials
            env |= {**credentials, "AWS_ENDPOINT_URL": self._endpoint}
        return env

    def _enter(self, status: str, message: str) -> None:
        steps = self._job["SecondaryStatusTransitions"]
        if steps:
            steps[-1]["EndTime"] = now()
        steps.append({"Status": status, "StartTime": now(), "StatusMessage": message})
        self._job |= {"SecondaryStatus": status, "LastModifiedTime": now()}
        self._changed(self._job)

    def _finish(self, outcome: str, reason: str = "") -> None:
        if self._ended:
            return
        if reason:
            self._job["FailureReason"] = reason[:FAILURE_REASON_CHARACTERS]
        self._job["TrainingEndTime"] = now()
        self._job["TrainingJobStatus"] = {"MaxRuntimeExceeded": "Stopped"}.get(outcome, outcome)
        self._enter(outcome, reason or "Training job " + outcome.lower())
        self._job["SecondaryStatusTransitions"][-1]["EndTime"] = now()
