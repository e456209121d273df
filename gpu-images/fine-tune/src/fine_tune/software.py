"""What ran a training: the interpreter, every package it stood on, and our own code. Stands in the manifest."""

import hashlib
import platform
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What requirements.txt asks for; bitsandbytes is there on GPUs only.
ASKED = ("torch", "transformers", "peft", "trl", "accelerate", "datasets", "safetensors", "tokenizers", "numpy", "scipy", "bitsandbytes")
OUR_OWN = ("fine_tune", "influence")


def packages() -> dict[str, str]:
    """Version by normalised name of what is installed of ASKED and of all that these require here, sorted by name.

    Extras are left out; what no requirement leads to (a developer's other packages) is too, so that the same lock gives
    the same adapter.
    """
    found: dict[str, str] = {}
    waiting = [canonicalize_name(name) for name in ASKED]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = installed.version
        wanted = [Requirement(text) for text in installed.requires or ()]
        waiting += [canonicalize_name(r.name) for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    return dict(sorted(found.items()))


def lock_digest(versions: dict[str, str]) -> str:
    """sha256 over the lines `name==version\\n`, sorted by name."""
    return hashlib.sha256("".join(f"{name}=={versions[name]}\n" for name in sorted(versions)).encode()).hexdigest()


def code_digest() -> str:
    """sha256 over the Python sources of our own packages: their names, paths and contents, sorted."""
    sha = hashlib.sha256()
    for name in OUR_OWN:
        spec = find_spec(name)
        root = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
        for file in sorted(root.rglob("*.py")) if root else ():
            sha.update(f"{name}/{file.relative_to(root).as_posix()}\n".encode())
            sha.update(hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()


def software() -> dict:
    """{"python", "platform", "packages", "lockDigest", "codeDigest"}: no place, no time."""
    versions = packages()
    return {"python": platform.python_version(), "platform": f"{sys.platform}-{platform.machine()}", "packages": versions,
            "lockDigest": lock_digest(versions), "codeDigest": code_digest()}
