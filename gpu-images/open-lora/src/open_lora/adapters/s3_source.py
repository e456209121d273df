"""Adapters under `s3://bucket/prefix/adapters/<id>/`, kept on a disk tier with a byte budget.

Names are content ids, so a copy on disk never goes stale; a copy is complete or absent (written aside, then renamed).
Only DISABLED may come at any time: it is looked for again every LOOK_SECONDS that an adapter is in use.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections import Counter, OrderedDict
from pathlib import Path
from zlib import crc32

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from open_lora.adapters.sources import (
    DISABLED, MAX_MANIFEST, PUBLISHED, check_name, listed_files, parse_manifest, verify_files,
)  # fmt: skip
from open_lora.adapters.weights import CONFIG, PICKLES, WEIGHTS, Limits
from open_lora.engine_port import AdapterFiles
from open_lora.refusals import Refusal

log = logging.getLogger("open_lora")
LOOK_SECONDS = 30  # a disabled adapter is refused after so long at most
ABSENT = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


class S3Bucket:
    """Reads objects below one prefix; turns SDK errors into Refusals."""

    def __init__(self, bucket: str, prefix: str):
        self.bucket = bucket
        self.prefix = prefix.strip("/")
        retries = Config(retries={"max_attempts": 4, "mode": "standard"}, connect_timeout=5, read_timeout=30)
        self.client = boto3.client("s3", config=retries)

    def key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    def read(self, path: str, limit: int) -> bytes | None:
        """The object's bytes, None when there is none, Refusal when it is larger than `limit`."""
        try:
            reply = self.client.get_object(Bucket=self.bucket, Key=self.key(path))
            if reply["ContentLength"] > limit:
                raise Refusal("adapter_too_large", f"{path} is larger than {limit} bytes")
            return reply["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                return None
            raise Refusal("source_unavailable", f"S3 refused {path}: {error.response['Error']['Code']}") from None
        except (BotoCoreError, OSError) as error:
            raise Refusal("source_unavailable", f"S3 could not be read: {type(error).__name__}") from None

    def list(self, path: str) -> list[tuple[str, int]]:
        """(path below `path`, size) of every object."""
        start = self.key(path)
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
        return [(item["Key"][len(start) :], item["Size"]) for page in pages for item in page.get("Contents", [])]

    def download(self, path: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self.client.download_file(self.bucket, self.key(path), str(target))


class S3Source:
    def __init__(self, bucket: S3Bucket, cache: Path, budget: int, base_id: str | None, limits: Limits):
        self.bucket, self.cache, self.budget, self.base_id, self.limits = bucket, cache, budget, base_id, limits
        cache.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._busy: Counter[str] = Counter()  # being read: not to be evicted
        for path in sorted(cache.iterdir(), key=lambda item: item.stat().st_mtime):
            if PUBLISHED.fullmatch(path.name):
                self._sizes[path.name] = _folder_bytes(path)
            else:
                shutil.rmtree(path, ignore_errors=True)  # a download that a crash cut short

    def signature(self, name: str) -> object:
        """Another one every LOOK_SECONDS, not at the same moment for all names: the next request rechecks the name."""
        return int((time.monotonic() + crc32(check_name(name).encode()) % LOOK_SECONDS) // LOOK_SECONDS)

    def recheck(self, name: str) -> bool:
        """An adapter that is here is served on while S3 is out of reach: an outage would else stop every replica, and
        nobody can disable anything meanwhile."""
        try:
            self._check_enabled(name)
        except Refusal as refusal:
            if refusal.code != "source_unavailable":
                raise
            log.warning("%s is served on, not looked for: %s", name, refusal)
        return True

    def names(self) -> list[str]:
        with self._lock:
            return sorted(self._sizes)

    def fetch(self, name: str) -> AdapterFiles:
        if not PUBLISHED.fullmatch(check_name(name)):
            raise Refusal("model_not_found", f"the model {name!r} does not exist", param="model")
        self._check_enabled(name)
        return self._on_disk(name) or self._download(name)

    def _check_enabled(self, name: str) -> None:
        if self.bucket.read(f"adapters/{name}/{DISABLED}", 1 << 16) is not None:
            raise Refusal("adapter_disabled", f"the adapter {name!r} is disabled", param="model")

    def _on_disk(self, name: str) -> AdapterFiles | None:
        """The copy on disk, if there is one and it still hashes to its name: disks rot, and others may write there."""
        with self._lock:
            if name not in self._sizes:
                return None
            self._sizes.move_to_end(name)
            self._busy[name] += 1
        folder = self.cache / name
        try:
            verify_files(folder, parse_manifest((folder / "manifest.json").read_bytes(), name, self.base_id))
        except (Refusal, OSError):
            self.done(name)
            with self._lock:
                del self._sizes[name]
                shutil.rmtree(folder, ignore_errors=True)
            return None
        return AdapterFiles(name, name, folder, "disk", self._sizes[name])

    def _download(self, name: str) -> AdapterFiles:
        raw = self.bucket.read(f"adapters/{name}/manifest.json", MAX_MANIFEST)
        if raw is None:
            raise Refusal("model_not_found", f"the model {name!r} does not exist", param="model")
        manifest = parse_manifest(raw, name, self.base_id)
        for path in listed_files(manifest):
            if Path(path).suffix.lower() in PICKLES and "/" not in path:
                raise Refusal("adapter_pickle", f"the adapter holds {path}; only safetensors is served")
        aside = Path(tempfile.mkdtemp(prefix=".part-", dir=self.cache))
        try:
            for file in (CONFIG, WEIGHTS):
                data = self.bucket.read(f"adapters/{name}/{file}", self.limits.max_bytes)
                if data is None:
                    raise Refusal("adapter_corrupt", f"{file} is missing")
                (aside / file).write_bytes(data)
            (aside / "manifest.json").write_bytes(raw)
            verify_files(aside, manifest)
            size = _folder_bytes(aside)
            self._make_room(size)
            with self._lock:
                aside.rename(self.cache / name)
                self._sizes[name] = size
                self._busy[name] += 1
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return AdapterFiles(name, name, self.cache / name, "s3", size)

    def _make_room(self, size: int) -> None:
        with self._lock:
            idle = [name for name in self._sizes if not self._busy[name]]
            while idle and sum(self._sizes.values()) + size > self.budget:
                oldest = idle.pop(0)
                del self._sizes[oldest]
                shutil.rmtree(self.cache / oldest, ignore_errors=True)

    def done(self, name: str) -> None:
        with self._lock:
            self._busy[name] -= 1
            if self._busy[name] <= 0:
                del self._busy[name]


def _folder_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
