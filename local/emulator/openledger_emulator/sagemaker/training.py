"""Training jobs: requests, and the record that Describe answers from."""

from __future__ import annotations

import contextvars
import threading
from pathlib import Path

from .. import identity, telemetry
from ..seam import need

from .faults import Denied, Invalid, InUse, NotFound
from .records import Records, now
from .training_run import TrainingRun

_COPIED = (
    "TrainingJobName", "RoleArn", "HyperParameters", "AlgorithmSpecification", "InputDataConfig", "OutputDataConfig",
    "ResourceConfig", "StoppingCondition", "VpcConfig", "EnableNetworkIsolation", "EnableManagedSpotTraining",
    "EnableInterContainerTrafficEncryption", "CheckpointConfig", "Environment", "RetryStrategy",
)  # fmt: skip


class TrainingJobs:
    """CreateTrainingJob, DescribeTrainingJob, StopTrainingJob and ListTrainingJobs."""

    def __init__(self, records: Records, images_root: Path, scratch: Path, endpoint: str):
        self._records = records
        self._images = images_root
        self._scratch = scratch
        self._endpoint = endpoint
        self._runs: dict[str, TrainingRun] = {}

    def create(self, request: dict, key: str) -> dict:
        name, region = request["TrainingJobName"], identity.region()
        _check(request)
        denied = identity.pass_role_refusal(key, request["RoleArn"], "sagemaker.amazonaws.com", region)
        if denied:
            raise Denied(denied) if "iam:PassRole" in denied else Invalid(denied)
        arn = f"arn:aws:sagemaker:{region}:{identity.account()}:training-job/{name.lower()}"
        with self._records.lock:
            if name in self._records.training_jobs:
                raise InUse(f"Training job names must be unique within an AWS account and region, and a training job "
                            f"with this name already exists ({arn})")  # fmt: skip
            job = {field: request[field] for field in _COPIED if field in request}
            job |= {"TrainingJobArn": arn, "CreationTime": now(), "LastModifiedTime": now()}
            job |= {"TrainingJobStatus": "InProgress", "SecondaryStatus": "Starting", "SecondaryStatusTransitions": []}
            job.setdefault("EnableNetworkIsolation", False)
            job.setdefault("EnableManagedSpotTraining", False)
            self._records.training_jobs[name] = job
            if request.get("Tags"):
                self._records.tag(arn, request["Tags"])
        self._start(job)
        return {"TrainingJobArn": arn}

    def _start(self, job: dict) -> None:
        name = job["TrainingJobName"]
        run = TrainingRun(job, self._images, self._scratch / name, self._endpoint, self._changed)
        self._runs[job["TrainingJobArn"]] = run
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(run.run,), name=f"openledger-training-{name}", daemon=True).start()

    def describe(self, request: dict) -> dict:
        return dict(self._job(request["TrainingJobName"]))

    def stop(self, request: dict) -> dict:
        job = self._job(request["TrainingJobName"])
        run = self._runs.get(job["TrainingJobArn"])
        if job["TrainingJobStatus"] != "InProgress" or run is None:
            raise Invalid(f"The request was rejected because the training job is in status {job['TrainingJobStatus']}.")
        run.stop()
        return {}

    def list(self, request: dict) -> dict:
        jobs = [job for job in self._records.training_jobs.values() if _wanted(job, request)]
        newest = request.get("SortOrder", "Descending") == "Descending"
        order = {"Name": "TrainingJobName", "Status": "TrainingJobStatus"}.get(request.get("SortBy", ""), "CreationTime")
        jobs.sort(key=lambda job: job[order], reverse=newest)
        start, size = int(request.get("NextToken", "0")), request.get("MaxResults", 10)
        fields = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime",
                  "TrainingJobStatus", "SecondaryStatus")  # fmt: skip
        page = [{field: job[field] for field in fields if field in job} for job in jobs[start : start + size]]
        more = {"NextToken": str(start + size)} if start + size < len(jobs) else {}
        return {"TrainingJobSummaries": page, **more}

    def resume(self) -> None:
        """After a restart: a job that was running starts again, from its checkpoints if it keeps any."""
        scope = need("core.responses", "request_scope", "training jobs")
        for job in list(self._records.training_jobs.all_values()):
            if job["TrainingJobStatus"] in ("InProgress", "Stopping"):
                _, _, _, region, account, _ = job["TrainingJobArn"].split(":", 5)
                job["TrainingJobStatus"] = "InProgress"
                with scope(account, region):
                    self._start(job)

    def end_all(self) -> None:
        """The emulator stops: end the processes at once. The records stay as they are, for `resume`."""
        for run in self._runs.values():
            run.end()

    def own(self, name: str, execution: str | None) -> None:
        """Remember the execution whose .sync task waits for the job."""
        self._records.owners[name] = execution

    def owner(self, name: str) -> str | None:
        return self._records.owners.get(name)

    def _job(self, name: str) -> dict:
        job = self._records.training_jobs.get(name)
        if job is None:
            raise NotFound(f"Requested resource not found: training job {name}.")
        return job

    def _changed(self, job: dict) -> None:
        arn = job["TrainingJobArn"]
        _, _, _, region, account, _ = arn.split(":", 5)
        telemetry.publish(account, region, "SageMaker Training Job State Change", _detail(job), arn)


def _detail(job: dict) -> dict:
    """The event carries what Describe answers, with times in milliseconds."""
    return {key: int(value * 1000) if key.endswith("Time") else value for key, value in job.items()}


def _wanted(job: dict, request: dict) -> bool:
    return (
        request.get("NameContains", "") in job["TrainingJobName"]
        and request.get("StatusEquals", job["TrainingJobStatus"]) == job["TrainingJobStatus"]
        and request.get("CreationTimeAfter", 0) <= job["CreationTime"] <= request.get("CreationTimeBefore", 1e12)
    )


def _check(request: dict) -> None:
    """The rules between members, which a service model cannot say."""
    algorithm, stopping = request["AlgorithmSpecification"], request.get("StoppingCondition", {})
    channels = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(set(channels)) != len(channels):
        raise Invalid("Input data channel names must be unique.")
    if bool(algorithm.get("TrainingImage")) == bool(algorithm.get("AlgorithmName")):
        raise Invalid("You must specify exactly one of TrainingImage and AlgorithmName.")
    if request.get("EnableManagedSpotTraining") and "MaxWaitTimeInSeconds" not in stopping:
        raise Invalid("MaxWaitTimeInSeconds is required when EnableManagedSpotTraining is true.")
    if stopping.get("MaxWaitTimeInSeconds", 1e12) < stopping.get("MaxRuntimeInSeconds", 0):
        raise Invalid("MaxWaitTimeInSeconds must be equal to or greater than MaxRuntimeInSeconds.")
    for channel in request.get("InputDataConfig", []):
        if "S3DataSource" not in channel["DataSource"]:
            raise Invalid("Only S3 data sources are supported on the embedded AWS.")
        if channel.get("InputMode", algorithm["TrainingInputMode"]) == "Pipe":
            raise Invalid("Input mode Pipe is not supported on the embedded AWS.")


