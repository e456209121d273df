"""What is to be trained: job.json of the channel `job`, or SageMaker's flat hyperparameters."""

import json
import os
from dataclasses import dataclass, field, fields

from fine_tune.checks import checked_number, require_text, shown
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
TEXTS = {"trainingId", "baseId", "baseDigest"}
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
    return checked_number(f"hyperparameters.{name}", value, *RANGES[name], whole=name in WHOLE)


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
                raise Refusal("bad-job", f"hyperparameters.schedule: {shown(value)} is not one of {', '.join(SCHEDULES)}")
            checked[name] = value
        elif name == "targetModules":
            if value != "all-linear" and not (isinstance(value, list) and value and all(isinstance(v, str) for v in value)):
                raise Refusal("bad-job", "hyperparameters.targetModules must be 'all-linear' or a list of names")
            checked[name] = value if isinstance(value, str) else tuple(value)
        else:
            checked[name] = number(name, value)
    return Hyperparameters(**checked)  # type: ignore[arg-type]


def text(job: dict, name: str, default: str | None) -> str | None:
    value = job.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal("bad-job", f"{name}: {shown(value)} must be a string")
    return value or default


def part(job: dict, name: str, known: set[str]) -> dict:
    """An object of the job, {} where it is missing; a name that nobody reads is refused."""
    value = {} if job.get(name) is None else job[name]
    if not isinstance(value, dict):
        raise Refusal("bad-job", f"{name} must be an object")
    for inner in value:
        if inner not in known:
            raise Refusal("bad-job", f"{name}.{inner} is unknown; known: {', '.join(sorted(known))}")
    return {inner: found for inner, found in value.items() if found is not None}


def read_datanets(datanets: object) -> tuple[dict, ...]:
    if not isinstance(datanets, list) or not all(isinstance(d, dict) and d.get("id") and isinstance(d["id"], str) for d in datanets):
        raise Refusal("bad-job", "datanets must be a list of {id, version, root, rows}")
    for at, datanet in enumerate(datanets):
        for name in ("version", "rows"):
            if datanet.get(name) is not None:
                checked_number(f"datanets.{at}.{name}", datanet[name], 0, 2**53, whole=True, exactly=True)
        if datanet.get("root") is not None and not isinstance(datanet["root"], str):
            raise Refusal("bad-job", f"datanets.{at}.root: {shown(datanet['root'])} must be a string")
    return tuple(datanets)


def read_influence(given: dict) -> dict:
    chosen = {"enabled": True, "checkpoints": 4, "directions": 2040, **given}
    if not isinstance(chosen["enabled"], bool):
        raise Refusal("bad-job", f"influence.enabled: {shown(chosen['enabled'])} must be true or false")
    least = int(chosen["enabled"])  # a store is fitted on one checkpoint at least
    for name, (low, high) in {"checkpoints": (least, 64), "directions": (least, 1 << 20)}.items():
        chosen[name] = checked_number(f"influence.{name}", chosen[name], low, high, whole=True)
    return chosen


def from_json(job: object) -> Job:
    """The whole job checked, before anything is trained. Raises Refusal("bad-job") with the field."""
    if not isinstance(job, dict):
        raise Refusal("bad-job", "job.json must be an object")
    require_text(job, "")
    method = job.get("method", "lora")
    if method not in METHODS:
        raise Refusal("bad-job", f"method: {shown(method)} is not one of {', '.join(METHODS)}")
    seconds = part(job, "limits", {"maxSeconds", "maxCost"}).get("maxSeconds")
    hyperparameters = {} if job.get("hyperparameters") is None else job["hyperparameters"]
    return Job(
        training_id=text(job, "trainingId", os.environ.get("TRAINING_JOB_NAME")) or "local",
        base_id=text(job, "baseId", None) or "base", base_digest=text(job, "baseDigest", None),
        datanets=read_datanets([] if job.get("datanets") is None else job["datanets"]),
        method=method, hyperparameters=read_hyperparameters(hyperparameters),
        influence=read_influence(part(job, "influence", {"enabled", "checkpoints", "directions"})),
        max_seconds=None if seconds is None else checked_number("limits.maxSeconds", seconds, 0, 10**9, exactly=True))


def from_flat(flat: dict) -> dict:
    """SageMaker hands hyperparameters over as strings, its SDK as JSON inside strings: undo both."""
    def value(name: str, said: object) -> object:
        try:
            found = json.loads(said) if isinstance(said, str) else said
        except (ValueError, RecursionError):
            return said
        return said if name in TEXTS and not isinstance(found, str) else found
    read = {name: value(name, said) for name, said in flat.items() if not name.startswith("sagemaker_")}
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
    except RecursionError:
        raise Refusal("bad-job", "job.json is nested too deep") from None
    except ValueError as error:
        raise Refusal("bad-job", f"job.json is not JSON: {error}") from None
