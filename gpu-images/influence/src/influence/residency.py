"""Which bases and stores are loaded: least recently used adapters go first, within a byte budget."""

import json
import re
import threading
from collections import OrderedDict
from pathlib import Path

from . import errors
from .adapter import adapter_digest
from .base_model import Base, load_base
from .digests import base_digest
from .quarantine import quarantined
from .score import Scorer
from .store import read_store
from .trained_rows import trained_mask

_ADAPTER_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")


class Residency:
    """`scorer(adapter id)` loads on first use. One base model is shared by all its adapters."""

    def __init__(self, source, base_id: str, budget_bytes: int = 2_000_000_000, device: str = "cpu"):
        self.source, self.base_id, self.budget, self.device = source, base_id, budget_bytes, device
        self.lock = threading.RLock()  # one model, one thread: a probe's hooks are on the shared base
        self._bases: dict[str, tuple[Base, str]] = {}
        self._scorers: OrderedDict[str, tuple[Scorer, int]] = OrderedDict()

    def loaded(self) -> list[str]:
        return list(self._scorers)

    def base(self, base_id: str) -> tuple[Base, str]:
        if base_id not in self._bases:
            folder = self.source.folder(f"bases/{base_id}")
            self._bases = {base_id: (load_base(folder, self.device), base_digest(folder))}
        return self._bases[base_id]

    def scorer(self, adapter_id: str) -> Scorer:
        """Raises not_found, store_corrupt, store_mismatch, adapter_invalid."""
        if not isinstance(adapter_id, str) or not _ADAPTER_ID.match(adapter_id) or ".." in adapter_id:
            raise errors.InfluenceError("request_invalid", "adapter: not an adapter id", 400)
        with self.lock:
            if adapter_id in self._scorers:
                self._scorers.move_to_end(adapter_id)
                return self._scorers[adapter_id][0]
            prefix = f"adapters/{adapter_id}"
            folder = self.source.folder(prefix)
            try:
                scorer = self._open(folder)
            except Exception:
                self.source.release(prefix)
                raise
            self._scorers[adapter_id] = (scorer, sum(p.stat().st_size for p in (folder / "influence").iterdir()))
            self._evict(adapter_id)
            return scorer

    def _open(self, folder: Path) -> Scorer:
        if not (folder / "influence" / "store.json").is_file():
            raise errors.not_found("the adapter has no influence store")
        store = read_store(folder / "influence", adapter_digest(folder))
        base, digest = self.base(self.base_id)
        if store.header["baseDigest"] != digest:
            raise errors.store_mismatch("the store was fitted on another base model")
        scorer = Scorer(base, store, trained_mask(store.row_ids, folder))
        scorer.confidence = confidence_of(folder)
        scorer.quarantined = [store.row_ids[i] for i in quarantined(store.self_influence().tolist())]
        return scorer

    def _evict(self, keep: str) -> None:
        while len(self._scorers) > 1 and sum(size for _, size in self._scorers.values()) > self.budget:
            oldest = next(iter(self._scorers))
            if oldest == keep:
                return
            del self._scorers[oldest]
            self.source.release(f"adapters/{oldest}")


def confidence_of(folder: Path) -> int:
    """The scorecard's confidence in 2^-20 units, from the adapter's manifest; 0 when there is none: influence that
    nobody measured moves no money."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
        found = (manifest.get("scorecard") or {}).get("confidence", 0)
    except (OSError, ValueError, AttributeError):
        return 0
    return min(max(int(found), 0), 1 << 20) if isinstance(found, int) else 0
