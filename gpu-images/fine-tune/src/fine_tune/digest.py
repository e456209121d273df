"""Digests of model folders. The same rule stands in functions/model-factory: both sides must agree on it."""

import hashlib
import json
from pathlib import Path

BASE_CARD = "base.json"


def sha256_file(path: Path) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            sha.update(chunk)
    return sha.hexdigest()


def folder_files(folder: Path) -> dict[str, str]:
    """sha256 of every file below `folder` by its path with `/`, without base.json and hidden files; sorted by name."""
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {name: sha256_file(folder / name) for name in files
            if name != BASE_CARD and not any(part.startswith(".") for part in name.split("/"))}


def files_digest(files: dict[str, str]) -> str:
    """sha256 over the lines `<sha256>  <name>\\n` in the order of the names (code points)."""
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def folder_digest(folder: Path) -> str:
    """The digest by which a base model is known: over all its files except base.json."""
    return files_digest(folder_files(folder))


def canonical(value: object) -> bytes:
    """Canonical JSON (RFC 8785) for values made of objects, arrays, strings, integers, booleans and null.

    Raises TypeError for a float: the shortest form of a float differs between languages, so we write them as strings.
    """
    def check(part: object) -> None:
        if isinstance(part, float):
            raise TypeError("a manifest holds no floats")
        for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            check(child)
    check(value)
    # RFC 8785 sorts keys by UTF-16 code units; our keys are ASCII, where that is the order of code points.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
