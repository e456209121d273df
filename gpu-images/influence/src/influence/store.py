"""The influence store of one adapter: flat files, each with its sha256 in a versioned header.

  store.json             header: format, version, adapter and base digest, settings, checkpoints, methods, files
  rows.jsonl             id, cluster, contributor of each row and the part that is its own text (2^-20), in index order
  rows.safetensors       <method>.codes (N, bytes), <method>.scales (N, tiers) float16, <method>.norms (N); losses (N)
  groups.safetensors     <method>.contributors (groups, k): sums of normalised row vectors
  rotation.safetensors   <checkpoint>.<matrix>.{left,right} float16, <checkpoint or raw>.<matrix>.{feature,factor};
                         <method>.components
  checkpoint-<i>.safetensors   the adapter weights at which query gradients are taken
The store digest is the sha256 of store.json; it is bound to exactly one adapter digest.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from . import errors
from .digests import file_digest
from .feature_map import FeatureMap
from .own_part import UNIT
from .rotation import MatrixRotation

FORMAT, VERSION = "openledger-influence-store", 3
HEADER = "store.json"


@dataclass
class Store:
    header: dict
    digest: str
    row_ids: list[str]
    clusters: list[str]
    contributors: list[str]
    own: list[int]
    rows: dict[str, torch.Tensor]
    groups: dict[str, torch.Tensor]
    queries: dict[str, torch.Tensor]
    rotations: list[list[MatrixRotation]] = field(default_factory=list)
    maps: list[FeatureMap] = field(default_factory=list)
    raw_map: FeatureMap | None = None
    folder: Path = Path()

    def self_influence(self) -> torch.Tensor:
        """(N): length of each row's own vector, by the first of its methods."""
        return self.rows[f"{'ekfac' if 'ekfac' in self.header['methods'] else min(self.header['methods'])}.norms"]


@contextmanager
def exclusive(out: Path):
    """One fit at a time for a target folder; the lock goes with the process. Only a store and an empty folder are replaced."""
    if out.exists() and not (out / HEADER).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise errors.out_occupied(str(out))
    out.parent.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:32]
    with open(Path(tempfile.gettempdir()) / f"openledger-influence-{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.fit_in_progress(str(out)) from None
        yield


@contextmanager
def staged(out: Path):
    """Yields an empty folder that replaces `out` only when the block ends well; otherwise nothing is left."""
    temporary = out.parent / f".{out.name}.writing"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for path in [*temporary.iterdir(), temporary]:
            _sync(path)
        old = out.parent / f".{out.name}.old"
        shutil.rmtree(old, ignore_errors=True)
        if out.exists():
            os.rename(out, old)
        os.rename(temporary, out)
        _sync(out.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_store(folder: Path, header: dict, rows: list[dict], tensors: dict[str, dict[str, torch.Tensor]]) -> str:
    """Writes all files and last the header, into a staged folder. Returns the store digest."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, content in tensors.items():
        save_file({key: value.contiguous() for key, value in content.items()}, folder / f"{name}.safetensors")
        (folder / f"{name}.safetensors").chmod(0o644)  # safetensors makes them private to the user
    files = {p.name: {"bytes": p.stat().st_size, "sha256": file_digest(p)} for p in sorted(folder.iterdir())}
    whole = {"format": FORMAT, "version": VERSION, **header, "files": files}
    text = json.dumps(whole, sort_keys=True, indent=1).encode()
    (folder / HEADER).write_bytes(text)
    return hashlib.sha256(text).hexdigest()


def _read_header(folder: Path) -> tuple[dict, str]:
    try:
        text = (folder / HEADER).read_bytes()
        header = json.loads(text)
    except FileNotFoundError:
        raise errors.store_corrupt(f"{HEADER} is missing: give the folder that a fit wrote") from None
    except ValueError:
        raise errors.store_corrupt(f"{HEADER} is not JSON") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise errors.store_corrupt(f"{HEADER} is not an influence store")
    if header.get("version") != VERSION:
        raise errors.store_corrupt(f"store version {header.get('version')} is not {VERSION}: fit it again")
    return header, hashlib.sha256(text).hexdigest()


def _check_files(folder: Path, files: dict) -> None:
    for name, expected in files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != expected["bytes"]:
            raise errors.store_corrupt(f"{name} is missing or cut: copy the store again, or fit it again")
        if file_digest(path) != expected["sha256"]:
            raise errors.store_corrupt(f"{name} does not match its digest")


def read_store(folder: Path, adapter_digest: str | None = None) -> Store:
    """Raises store_corrupt, or store_mismatch when the store belongs to another adapter."""
    folder = Path(folder)
    header, digest = _read_header(folder)
    if adapter_digest is not None and header["adapterDigest"] != adapter_digest:
        raise errors.store_mismatch(f"the store belongs to adapter {header['adapterDigest'][:16]}, "
                                    f"not to {adapter_digest[:16]}: fit one for this adapter")
    _check_files(folder, header["files"])
    records = [json.loads(line) for line in (folder / "rows.jsonl").read_text().split("\n") if line]
    queries = load_file(folder / "rotation.safetensors")
    store = Store(header, digest, [r["id"] for r in records], [r["cluster"] for r in records],
                  [r["contributor"] for r in records], [r.get("own", UNIT) for r in records], load_file(folder / "rows.safetensors"),
                  load_file(folder / "groups.safetensors"), queries, folder=folder)
    for c, dampings in enumerate(header["dampings"]):
        store.rotations.append([
            MatrixRotation(queries[f"{c}.{m}.left"].float(), queries[f"{c}.{m}.right"].float(), torch.zeros(0), damping)
            for m, damping in enumerate(dampings)])
        store.maps.append(_map(queries, str(c), len(dampings), header["featureWidths"][c]))
    if header["rawWidth"]:
        store.raw_map = _map(queries, "raw", len(header["dampings"][-1]), header["rawWidth"])
    return store


def _map(tensors: dict[str, torch.Tensor], name: str, matrices: int, width: int) -> FeatureMap:
    part = lambda kind: [tensors[f"{name}.{m}.{kind}"] for m in range(matrices)]
    return FeatureMap(part("feature"), part("factor"), width)
