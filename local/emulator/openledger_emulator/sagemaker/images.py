"""From an image URI to a command: the repository's name is the folder of the image, its Dockerfile names the command."""

from __future__ import annotations

import json
import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path


class ImageNotFound(LookupError):
    """No folder of the images directory has the repository's name, or it has no usable entry point."""


@dataclass(frozen=True)
class Image:
    """`command`: the ENTRYPOINT in exec form. `environment`: the ENV lines with plain values, and where `src/` lies."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def repository(uri: str) -> str:
    """Last part of the repository name: `1.dkr.ecr.r.amazonaws.com/openledger/fine-tune:tag` -> `fine-tune`."""
    path = uri.split("@", 1)[0].rsplit("/", 1)[-1]
    return path.split(":", 1)[0]


def find(images: Path, uri: str) -> Image:
    """The image behind `uri`, or ImageNotFound with what was looked for."""
    name = repository(uri)
    dockerfile = images / name / "Dockerfile"
    if not re.fullmatch(r"[a-z0-9]+(?:[._-][a-z0-9]+)*", name) or not dockerfile.is_file():
        raise ImageNotFound(f"Requested image {uri} not found: no {name}/Dockerfile under {images.name}/")
    text = re.sub(r"\\\r?\n", " ", dockerfile.read_text())
    entry = re.findall(r"^\s*ENTRYPOINT\s+(\[.*\])\s*$", text, re.MULTILINE)
    if not entry:
        raise ImageNotFound(f"Image {uri}: {name}/Dockerfile has no ENTRYPOINT in JSON form")
    environment = {"PYTHONPATH": str(images / name / "src")}
    for line in re.findall(r"^\s*ENV\s+(.+)$", text, re.MULTILINE):
        for part in shlex.split(line):
            key, separator, value = part.partition("=")
            # PATH and values that build on other variables describe the container's file system, not this machine.
            if separator and "$" not in value and not value.startswith("/"):
                environment[key] = value
    return Image(name, tuple(json.loads(entry[-1])), environment)


def runnable(command: tuple[str, ...] | list[str]) -> list[str]:
    """The command on this machine: `python` means the interpreter the emulator runs in (the project's venv)."""
    first = command[0].rsplit("/", 1)[-1]
    return [sys.executable, *command[1:]] if re.fullmatch(r"python(3(\.\d+)?)?", first) else list(command)
