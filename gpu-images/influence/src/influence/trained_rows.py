"""Which rows an adapter's signed manifest says it was trained on: only they can score."""

import hashlib
import json
from pathlib import Path

import torch

from . import errors

MANIFEST, ROW_IDS = "manifest.json", "row-ids.txt"


def trained_rows(adapter_dir: Path) -> frozenset[str] | None:
    """The ids in row-ids.txt, whose digest the manifest holds; None for an adapter without such a manifest (one that
    was not trained here). Raises store_mismatch when the list is missing or not the manifest's."""
    manifest = Path(adapter_dir) / MANIFEST
    try:
        rows = json.loads(manifest.read_text("utf-8")).get("rows")
    except FileNotFoundError:
        return None
    except (ValueError, AttributeError):
        raise errors.adapter_invalid(f"{MANIFEST} is not a JSON object") from None
    if not isinstance(rows, dict) or "idsDigest" not in rows:
        return None
    listed = Path(adapter_dir) / ROW_IDS
    ids = [line for line in listed.read_bytes().decode("utf-8", "replace").split("\n") if line] if listed.is_file() else []
    if hashlib.sha256("".join(f"{row}\n" for row in sorted(ids)).encode()).hexdigest() != rows["idsDigest"]:
        raise errors.store_mismatch(f"{ROW_IDS} is not the list of rows that {MANIFEST} was signed with")
    return frozenset(ids)


def trained_mask(row_ids: list[str], adapter_dir: Path) -> torch.Tensor | None:
    """(N) float32, 1 for a trained row and 0 for any other; None when all rows may score."""
    trained = trained_rows(adapter_dir)
    if trained is None or trained.issuperset(row_ids):
        return None
    return torch.tensor([1.0 if row in trained else 0.0 for row in row_ids])
