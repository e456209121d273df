"""manifest.json: everything that made an adapter. Its sha256 is the adapter's id, so nothing of time or place is in it."""

import hashlib
import json
import time
from pathlib import Path

from fine_tune.digest import canonical, folder_files
from fine_tune.examples import Example
from fine_tune.job import Job
from fine_tune.rows import Row, ids_digest
from fine_tune.software import software

NAME, ROW_IDS, COSTS = "manifest.json", "row-ids.txt", "costs.json"


def decimal(value: float) -> str:
    """A float as a plain decimal with at most 9 digits behind the point: languages disagree on how floats print."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def plain(value: object) -> object:
    return decimal(value) if isinstance(value, float) else list(value) if isinstance(value, tuple) else value


def per_datanet(job: Job, trained: list[Example], held_out: list[Row]) -> list[dict]:
    """Rows and trained tokens (labels of one pass) of each Datanet: by these shares the residual is split."""
    given = job.datanets or tuple({"id": name} for name in sorted({e.row.datanet for e in trained}))
    listed = []
    for datanet in given:
        mine = [e for e in trained if e.row.datanet == datanet["id"]]
        listed.append({
            "id": datanet["id"], "version": datanet.get("version"), "root": datanet.get("root"),
            "rows": len(mine), "heldOutRows": sum(row.datanet == datanet["id"] for row in held_out),
            "trainedTokens": sum(e.trained_tokens for e in mine),
        })
    return listed


def write_manifest(model: Path, job: Job, base: dict, trained: list[Example], held_out: list[Row], result: dict,
                   influence: dict | None, scorecard: dict | None) -> str:
    """Write row-ids.txt and manifest.json into `model`; returns the adapter's id.

    `base` = {"digest","tokenizerDigest","templateDigest","positions","unigramDigest"}; `result` = numbers for `metrics`.
    """
    rows = [e.row for e in trained]
    (model / ROW_IDS).write_text("".join(f"{row.id}\n" for row in rows), encoding="utf-8")
    files = folder_files(model)
    files.pop(NAME, None)
    chosen = {name: plain(value) for name, value in vars(job.hyperparameters).items()}
    content = canonical({
        "format": "openledger-adapter", "formatVersion": 1, "trainingId": job.training_id,
        "base": {"id": job.base_id, **base},
        "datanets": per_datanet(job, trained, held_out),
        "rows": {"count": len(rows), "idsDigest": ids_digest(rows), "heldOut": sorted(row.id for row in held_out)},
        "method": job.method, "hyperparameters": chosen, "software": software(),
        "metrics": {name: plain(value) for name, value in result.items()},
        "influence": None if influence is None else {
            "storeDigest": influence["storeDigest"], "rows": influence["rows"], "scored": influence["scored"],
            "checkpoints": influence["checkpoints"] if isinstance(influence["checkpoints"], int) else len(influence["checkpoints"]),
            "bytesPerRow": plain(influence["bytesPerRow"])},
        "scorecard": scorecard,
        "files": [{"name": name, "sha256": sha256, "bytes": (model / name).stat().st_size} for name, sha256 in sorted(files.items())],
    })
    (model / NAME).write_bytes(content)
    return hashlib.sha256(content).hexdigest()[:32]


def write_costs(model: Path, started: float, spent: dict) -> None:
    """costs.json: what this run of the job took. Beside the manifest, not in it: the same job twice is one adapter."""
    (model / COSTS).write_text(json.dumps({"jobSeconds": round(time.monotonic() - started, 3),
                                           "jobCpuSeconds": round(time.process_time(), 3), **spent}), encoding="utf-8")
