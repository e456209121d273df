"""Hook: after a kill -9 the objects of S3 are those of the last checkpoint, like everything else.

MiniStack writes objects at once and all other state when we ask. Records would come back older than the objects: a
receipt that completes a second time, with another time in it, would stand twice in the receipt log, and no epoch closes
over that. So before a file of S3 is replaced or removed, what was there gets a second name; the next start puts it back.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path
from typing import TextIO

from .seam import need, replace

HOOK = "object undo"
_LOG = "changes.jsonl"


class ObjectUndo:
    """Changes since a checkpoint, period by period. `folder` lies on the file system of the objects (hard links)."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._lock = threading.Lock()
        self._number = 0
        self._log: TextIO | None = None
        self._seen: set[str] = set()

    def install(self) -> None:
        write = need("services.s3", "_atomic_write", HOOK)
        remove = need("services.s3", "_remove_key_files", HOOK)
        remove_version = need("services.s3", "_delete_version_file", HOOK)
        place = need("services.s3", "_version_disk_path", HOOK)

        def noted_write(path: str, *args, **kwargs):
            self.before_change(path)
            return write(path, *args, **kwargs)

        def noted_remove(path: str | None):
            if path:
                self.before_change(path)
                self.before_change(f"{path}.meta.json")
            return remove(path)

        def noted_remove_version(bucket: str, key: str, version: str):
            path = place(bucket, key, version)
            if path:
                self.before_change(path)
            return remove_version(bucket, key, version)

        replace("services.s3", "_atomic_write", noted_write, HOOK)
        replace("services.s3", "_remove_key_files", noted_remove, HOOK)
        replace("services.s3", "_delete_version_file", noted_remove_version, HOOK)

    def begin(self) -> int:
        """A new period: what changes from now on is not part of the state that is copied now. Returns its number."""
        folder = self._folder / str(self._number + 1)
        folder.mkdir(parents=True)
        log = open(folder / _LOG, "w")
        with self._lock:
            before, self._log, self._seen = self._log, log, set()
            self._number += 1
        if before:
            before.close()
        return self._number

    def forget(self, before: int | None = None) -> None:
        """The periods before this one (None: all) are part of what is on disk now."""
        for number in _periods(self._folder):
            if before is None or number < before:
                (self._folder / str(number) / _LOG).unlink(missing_ok=True)
                shutil.rmtree(self._folder / str(number), ignore_errors=True)

    def before_change(self, path: str) -> None:
        with self._lock:
            if self._log is None or path in self._seen:
                return
            self._seen.add(path)
            kept = str(len(self._seen)) if os.path.exists(path) else None
            if kept:
                os.link(path, self._folder / str(self._number) / kept)
            self._log.write(f"{json.dumps([path, kept])}\n")
            self._log.flush()


def restore(folder: Path) -> int:
    """Undo what was changed after the last checkpoint, newest first; returns the number of files. Before S3 is loaded."""
    count = 0
    for number in sorted(_periods(folder), reverse=True):
        period = folder / str(number)
        for path, kept in reversed(_changes(period / _LOG)):
            if kept is None:
                Path(path).unlink(missing_ok=True)
            elif (period / kept).exists():  # else: restored already, by a start that was killed
                os.replace(period / kept, path)
            count += 1
    shutil.rmtree(folder, ignore_errors=True)
    return count


def _periods(folder: Path) -> list[int]:
    return [int(entry.name) for entry in folder.iterdir()] if folder.is_dir() else []


def _changes(log: Path) -> list[tuple[str, str | None]]:
    if not log.exists():
        return []
    lines = log.read_text().split("\n")
    # Without its line end the last line was cut off, and its change never came.
    return [tuple(json.loads(line)) for line in lines[:-1]]
