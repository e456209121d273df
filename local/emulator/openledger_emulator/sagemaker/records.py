"""What SageMaker remembers, by account and region, in MiniStack's own persistence format."""

from __future__ import annotations

import copy
import threading
import time
from typing import Any

from ..seam import need

_KINDS = ("training_jobs", "models", "endpoint_configs", "endpoints", "owners", "tags", "async_requests")


class Records:
    """One scoped dictionary a kind. Values are the records that Describe* answers from."""

    def __init__(self) -> None:
        scoped = need("core.responses", "AccountRegionScopedDict", "sagemaker records")
        self.lock = threading.RLock()
        self.training_jobs: Any = scoped()
        self.models: Any = scoped()
        self.endpoint_configs: Any = scoped()
        self.endpoints: Any = scoped()
        self.owners: Any = scoped()  # training job -> execution that waits for it
        self.tags: Any = scoped()
        self.async_requests: Any = scoped()  # asked asynchronously, without an outcome yet

    def dump(self) -> dict:
        with self.lock:
            return {kind: copy.deepcopy(getattr(self, kind)) for kind in _KINDS}

    def load(self, saved: dict) -> None:
        with self.lock:
            for kind in _KINDS:
                if kind in saved:
                    getattr(self, kind).update(saved[kind])

    def clear(self) -> None:
        with self.lock:
            for kind in _KINDS:
                getattr(self, kind).clear()

    def tag(self, arn: str, tags: list[dict]) -> list[dict]:
        """Merge tags into those of a resource; the later value of a key wins."""
        merged = {tag["Key"]: tag["Value"] for tag in [*self.tags.get(arn, []), *tags]}
        self.tags[arn] = [{"Key": key, "Value": value} for key, value in merged.items()]
        return self.tags[arn]


def now() -> float:
    """Epoch seconds: the timestamp format of the JSON 1.1 protocol."""
    return round(time.time(), 3)
