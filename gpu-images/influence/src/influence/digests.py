"""sha256 of files and of a base model folder."""

import hashlib
from pathlib import Path

from . import errors

_PIECE = 1 << 20


def file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def base_digest(folder: Path) -> str:
    """sha256 over config.json and the weight files, by name: what gradients depend on."""
    folder = Path(folder)
    weights = sorted(p for p in folder.glob("*") if p.suffix in (".safetensors", ".bin") and p.name != "unigram.bin")
    if not (folder / "config.json").is_file() or not weights:
        raise errors.base_invalid(f"{folder.name}: config.json or the weights are missing")
    whole = hashlib.sha256()
    for path in [folder / "config.json", *weights]:
        whole.update(f"{path.name}:{file_digest(path)}\n".encode())
    return whole.hexdigest()
