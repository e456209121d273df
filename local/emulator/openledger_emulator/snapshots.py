"""Saving while it runs: MiniStack writes its state at a clean stop only, and a machine can die without one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from .seam import need, replace

_HOOK = "snapshots"
_SECONDS = 10.0
# Written by MiniStack at deploy time only, and large (bundles in base64): saved on request, not every ten seconds.
_HEAVY = frozenset({"lambda", "cloudformation", "ecr"})
_log = logging.getLogger("openledger")


def copy_under_load() -> None:
    """MiniStack copies its dictionaries without a lock, and gives a service up when one grew meanwhile: try again."""
    before = need("app", "_build_persistence_save_dict", _HOOK)
    replace(
        "app",
        "_build_persistence_save_dict",
        lambda: {key: lambda get=get: _patiently(get) for key, get in before().items()},
        _HOOK,
    )


def _patiently(get: Callable[[], dict | None], tries: int = 20) -> dict | None:
    for _ in range(tries - 1):
        try:
            return get()
        except RuntimeError:  # dictionary changed size during iteration
            time.sleep(0.01)
    return get()


class Snapshots:
    """Saves the services that change while the platform runs, every ten seconds, in a thread of its own."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._writing = threading.Lock()

    def start(self) -> None:
        """Begin; from now on MiniStack's own save at its stop waits for ours, and ours ends with it."""
        save_all = need("app", "save_all", _HOOK)

        def last_save(services: dict) -> None:
            self._stopped.set()
            with self._writing:
                save_all(services)

        replace("app", "save_all", last_save, _HOOK)
        threading.Thread(target=self._loop, name="openledger-snapshots", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def save(self, everything: bool = True) -> None:
        """One consistent write per service; a service that changes under the copy is written by the next round."""
        with self._writing:
            services = need("app", "_build_persistence_save_dict", _HOOK)()
            chosen = {key: get for key, get in services.items() if everything or key not in _HEAVY}
            need("core.persistence", "save_all", _HOOK)(chosen)

    def _loop(self) -> None:
        logging.getLogger("persistence").setLevel(logging.WARNING)
        while not self._stopped.wait(_SECONDS):
            try:
                self.save(everything=False)
            except Exception:
                _log.warning("snapshot failed; the next one follows in %s s", _SECONDS, exc_info=True)
