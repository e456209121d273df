"""Where adapters come from: a local folder of adapter folders, or `adapters/<id>/` under an S3 prefix.

A source turns a name into files on local disk, verified against `manifest.json` where there is one. The rule for
published adapters: id = first 32 hex digits of the SHA-256 of the manifest's bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import Protocol

from open_lora.adapters.weights import CONFIG, WEIGHTS
from open_lora.engine_port import AdapterFiles
from open_lora.refusals import Refusal

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@:+ -]{0,199}")
NAME_RULE = "an adapter's name is ASCII letters, digits, spaces and _.@:+-, and begins with a letter, a digit or _"
log = logging.getLogger("open_lora")
PUBLISHED = re.compile(r"[0-9a-f]{32}")
DISABLED = "DISABLED"
MAX_MANIFEST = 4 << 20
_PIECE = 1 << 15  # larger ones, come and gone, leave holes in a loader's heap that small objects settle in (053)


class Source(Protocol):
    def fetch(self, name: str) -> AdapterFiles:
        """Blocking. Raises Refusal (invalid_adapter_name, model_not_found, adapter_disabled, ...)."""

    def done(self, name: str) -> None:
        """The files of the last `fetch` of this name were read; they may be evicted."""

    def signature(self, name: str) -> object:
        """Changes when the content may have changed, or whether it is served; costs no look at a network."""

    def recheck(self, name: str) -> bool:
        """Blocking, after another signature. True: what was fetched is still what the name means. Raises Refusal."""

    def names(self) -> list[str]: ...


def check_name(name: str) -> str:
    """A name is one path segment: no separators, no leading dot, no control characters."""
    if not isinstance(name, str) or not NAME.fullmatch(name) or name.endswith((" ", ".")):
        raise Refusal("invalid_adapter_name", NAME_RULE, param="model")
    return name


def sha256_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def listed_files(manifest: dict) -> dict[str, str]:
    """file name -> sha256, from `files` as an object or as a list of {path, sha256}. Raises Refusal."""
    files = manifest.get("files")
    entries = files.items() if isinstance(files, dict) else (
        ((item.get("path") or item.get("name"), item) for item in files if isinstance(item, dict))
        if isinstance(files, list)
        else ()
    )
    out = {}
    for path, value in entries:
        digest = value.get("sha256") if isinstance(value, dict) else value
        parts = Path(path).parts if isinstance(path, str) else ()
        if not parts or ".." in parts or Path(path).is_absolute() or "\\" in path or not isinstance(digest, str):
            raise Refusal("adapter_corrupt", "manifest.json: files must map a relative path to its sha256", param="files")
        out[path] = digest.removeprefix("sha256:")
    return out


def parse_manifest(raw: bytes, name: str, base_id: str | None) -> dict:
    """Checks the id, and the base where both sides name one. Raises Refusal."""
    if PUBLISHED.fullmatch(name) and hashlib.sha256(raw).hexdigest()[:32] != name:
        raise Refusal("adapter_digest_mismatch", "manifest.json does not hash to the adapter's id", param="model")
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refusal("adapter_corrupt", "manifest.json is not JSON") from None
    if not isinstance(manifest, dict):
        raise Refusal("adapter_corrupt", "manifest.json is not an object")
    base = manifest.get("base")
    named = base.get("id") if isinstance(base, dict) else manifest.get("baseId")
    if base_id and isinstance(named, str) and named != base_id:
        raise Refusal("adapter_wrong_base", f"the adapter was trained on {named[:80]!r}, this server has {base_id!r}")
    return manifest


def verify_files(directory: Path, manifest: dict) -> None:
    """Every file that serving reads must be listed, and hash as listed."""
    listed = listed_files(manifest)
    for needed in (CONFIG, WEIGHTS):
        if needed not in listed:
            raise Refusal("adapter_corrupt", f"manifest.json does not list {needed}", param="files")
        path = directory / needed
        if not path.is_file() or sha256_file(path) != listed[needed]:
            raise Refusal("adapter_digest_mismatch", f"{needed} is not the file that manifest.json lists")


class FolderSource:
    """`root/<name>/adapter_config.json`: any stock PEFT adapters. An optional manifest is verified."""

    def __init__(self, root: Path, base_id: str | None = None):
        self.root = root.resolve()
        self.base_id = base_id
        self._known: dict[str, tuple[object, str]] = {}
        self._registered: dict[str, Path] = {}
        self._disabled: set[str] = set()
        for path in self.root.iterdir() if self.root.is_dir() else ():
            if not NAME.fullmatch(path.name) and (path / CONFIG).is_file():
                log.warning("adapter %r is not served: %s", path.name, NAME_RULE)

    def directory(self, name: str) -> Path:
        return self._registered.get(name) or self.root / check_name(name)

    def register(self, name: str, directory: Path) -> None:
        """Serves a folder outside of the root, too. Raises Refusal adapter_exists."""
        if check_name(name) in self._registered or (self.root / name).exists():
            raise Refusal("adapter_exists", f"the model {name!r} exists already", param="name")
        self._registered[name] = directory.resolve()
        self._disabled.discard(name)

    def forget(self, name: str) -> None:
        self._registered.pop(name, None)

    def disable(self, name: str) -> None:
        """Takes a name out of service until it is registered anew. Raises Refusal model_not_found."""
        if not (self.directory(name) / CONFIG).is_file():
            raise Refusal("model_not_found", f"the model {name!r} does not exist", param="model")
        self._registered.pop(name, None)
        self._disabled.add(name)

    def signature(self, name: str) -> object:
        directory = self.directory(name)
        marks = [int(name in self._disabled or (directory / DISABLED).exists())]
        for file in (CONFIG, WEIGHTS, "manifest.json"):
            try:
                stat = (directory / file).stat()
                marks += (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            except OSError:
                marks.append(-1)
        return ",".join(map(str, marks))  # kept for every name ever asked for: one string, not a dozen objects

    def recheck(self, name: str) -> bool:
        return False

    def fetch(self, name: str) -> AdapterFiles:
        directory = self.directory(name)
        if name not in self._disabled and not (directory / CONFIG).is_file():
            raise Refusal("model_not_found", f"the model {name!r} does not exist", param="model")
        if name in self._disabled or (directory / DISABLED).exists():
            raise Refusal("adapter_disabled", f"the adapter {name!r} is disabled", param="model")
        signature = self.signature(name)
        known = self._known.get(name)
        if known is None or known[0] != signature:
            known = self._known[name] = (signature, self._key(directory, name))
        weights = directory / WEIGHTS
        return AdapterFiles(name, known[1], directory, "disk", weights.stat().st_size if weights.is_file() else 0)

    def done(self, name: str) -> None:
        pass  # the folder is the operator's: nothing of it is evicted

    def _key(self, directory: Path, name: str) -> str:
        manifest = directory / "manifest.json"
        if manifest.is_file() and manifest.stat().st_size <= MAX_MANIFEST:
            raw = manifest.read_bytes()
            if PUBLISHED.fullmatch(name):
                verify_files(directory, parse_manifest(raw, name, self.base_id))
                return name
        digest = hashlib.sha256()
        for file in (CONFIG, WEIGHTS):
            if (directory / file).is_file():
                digest.update(bytes.fromhex(sha256_file(directory / file)))
        return digest.hexdigest()[:32]

    def names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        found = (path.name for path in self.root.iterdir() if NAME.fullmatch(path.name) and (path / CONFIG).is_file())
        names = {*found, *self._registered} - self._disabled
        return sorted(name for name in names if not (self.directory(name) / DISABLED).exists())
