"""What is to be trained: job.json of the channel `job`, or SageMaker's flat hyperparameters."""

import json
import math
import os
from dataclasses import dataclass, field, fields

from fine_tune.container import Container
from fine_tune.refusal import Refusal

METHODS = ("lora", "qlora", "full-precision-lora")
SCHEDULES = ("linear", "cosine", "constant")


@dataclass(frozen=True)
class Hyperparameters:
    rank: int = 16
    alpha: float = 32
    dropout: float = 0.0
    targetModules: str | tuple[str, ...] = "all-linear"  # noqa: N815 (the names of job.json)
    learningRate: float = 2e-4  # noqa: N815
    epochs: float = 3
    maxSteps: int | None = None  # noqa: N815
    batchSize: int = 8  # noqa: N815
    maxSequenceLength: int = 256  # noqa: N815
    seed: int = 0
    warmupRatio: float = 0.05  # noqa: N815
    schedule: str = "cosine"
    evalFraction: float = 0.05  # noqa: N815
    earlyStopPatience: int | None = None  # noqa: N815


RANGES = {
    "rank": (1, 256), "alpha": (1, 512), "dropout": (0, 0.5), "learningRate": (1e-9, 1), "epochs": (0.001, 1000),
    "maxSteps": (1, 1_000_000), "batchSize": (1, 512), "maxSequenceLength": (16, 131_072), "seed": (0, 2**31 - 1),
    "warmupRatio": (0, 0.5), "evalFraction": (0, 0.5), "earlyStopPatience": (1, 100),
}
WHOLE = {"rank", "maxSteps", "batchSize", "maxSequenceLength", "seed", "earlyStopPatience"}


@dataclass(frozen=True)
class Job:
    """`datanets` are {"id","version","root","rows"}; `max_seconds` None means no limit of our own."""

    training_id: str
    base_id: str
    base_digest: str | None
    datanets: tuple[dict, ...]
    method: str
    hyperparameters: Hyperparameters
    influence: dict = field(default_factory=dict)
    max_seconds: float | None = None


def number(name: str, value: object) -> int | float:
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise Refusal("bad-job", f"hyperparameters.{name}: {value!r} is not a number") from None
    low, high = RANGES[name]
    if isinstance(value, bool) or not math.isfinite(found) or not low <= found <= high:
        raise Refusal("bad-job", f"hyperparameters.{name}: {value!r} must be between {low} and {high}")
    if name in WHOLE and found != int(found):
        raise Refusal("bad-job", f"hyperparameters.{name}: {value!r} must be a whole number")
    return int(found) if name in WHOLE else found


def read_hyperparameters(given: object) -> Hyperparameters:
    """Checked values, defaults for what is missing; an unknown name is refused (a typo would train something else)."""
    if not isinstance(given, dict):
        raise Refusal("bad-job", "hyperparameters must be an object")
    known = {f.name for f in fields(Hyperparameters)}
    for name in given:
        if name not in known:
            raise Refusal("bad-job", f"hyperparameters.{name} is unknown; known: {', '.join(sorted(known))}")
    checked: dict[str, object] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name == "schedule":
            if value not in SCHEDULES:
                raise Refusal("bad-job", f"hyperparameters.schedule: {value!r} is not one of {', '.join(SCHEDULES)}")
            checked[name] = value
        elif name == "targetModules":
            if value != "all-linear" and not (isinstance(value, list) and value and all(isinstance(v, str) for v in value)):
                raise Refusal("bad-job", "hyperparameters.targetModules must be 'all-linear' or a list of names")
            checked[name] = value if isinstance(value, str) else tuple(value)
        else:
            checked[name] = number(name, value)
    return Hyperparameters(**checked)  # type: ignore[arg-type]


def from_json(job: object) -> Job:
    if not isinstance(job, dict):
        raise Refusal("bad-job", "job.json must be an object")
    method = job.get("method", "lora")
    if method not in METHODS:
        raise Refusal("bad-job", f"method: {method!r} is not one of {', '.join(METHODS)}")
    datanets = job.get("datanets") or []
    if not isinstance(datanets, list) or not all(isinstance(d, dict) and isinstance(d.get("id"), str) for d in datanets):
        raise Refusal("bad-job", "datanets must be a list of {id, version, root, rows}")
    limits = job.get("limits") or {}
    seconds = limits.get("maxSeconds")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0):
        raise Refusal("bad-job", f"limits.maxSeconds: {seconds!r} must be above 0")
    return Job(
        training_id=str(job.get("trainingId") or os.environ.get("TRAINING_JOB_NAME") or "local"),
        base_id=str(job.get("baseId") or "base"), base_digest=job.get("baseDigest"), datanets=tuple(datanets),
        method=method, hyperparameters=read_hyperparameters(job.get("hyperparameters") or {}),
        influence={"enabled": True, "checkpoints": 4, "directions": 2040, **(job.get("influence") or {})},
        max_seconds=seconds)


def from_flat(flat: dict) -> dict:
    """SageMaker hands hyperparameters over as strings, its SDK as JSON inside strings: undo both."""
    def value(text: object) -> object:
        try:
            return json.loads(text) if isinstance(text, str) else text
        except ValueError:
            return text
    read = {name: value(text) for name, text in flat.items() if not name.startswith("sagemaker_")}
    top = {name: read.pop(name) for name in ("trainingId", "baseId", "baseDigest", "method", "datanets", "influence", "limits")
           if name in read}
    return {**top, "hyperparameters": read}


def read_job(container: Container) -> Job:
    folder = container.channel("job")
    if folder is None:
        return from_json(from_flat(container.config("hyperparameters")))
    path = folder / "job.json"
    if not path.exists():
        raise Refusal("bad-job", "the channel `job` has no job.json")
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise Refusal("bad-job", f"job.json is not JSON: {error}") from None
