"""Saving while it runs: MiniStack writes its state at a clean stop only, and a machine can die without one.

Two ways: every ten seconds by itself, or in two steps when the starter asks. `stage` keeps a copy of the state in
memory, `commit` writes it. In between the starter saves what must never be older than this state: the L2.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .object_undo import ObjectUndo
from .seam import need, replace

_HOOK = "snapshots"
_SECONDS = 10.0
_LONGEST_STOP = 2.0
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

    def __init__(self, objects: ObjectUndo) -> None:
        self._objects = objects
        self._period = 0
        self._stopped = threading.Event()
        self._asked = threading.Event()
        self._writing = threading.Lock()
        self._staged: dict[str, str] = {}

    def start(self) -> None:
        """Begin; from now on MiniStack's own save at its stop waits for ours, and ours ends with it."""
        save_all = need("app", "save_all", _HOOK)

        def last_save(services: dict) -> None:
            self._stopped.set()
            with self._writing:
                save_all(services)
                self._objects.forget()

        replace("app", "save_all", last_save, _HOOK)
        threading.Thread(target=self._loop, name="openledger-snapshots", daemon=True).start()

    def stop(self) -> None:
        self._stopped.set()

    def save(self, everything: bool = True) -> None:
        """One consistent write per service; a service that changes under the copy is written by the next round."""
        with self._writing:
            need("core.persistence", "save_all", _HOOK)(_services(everything))

    def stage(self) -> None:
        """Copy the state as it is now. From the first call on, nothing is saved but what is asked for."""
        self._asked.set()
        encode = need("core.persistence", "_json_default", _HOOK)
        version = need("core.persistence", "_state_format_version", _HOOK)
        with self._writing:
            with _world_stopped():
                self._period = self._objects.begin()
                states = {key: get() for key, get in _services(everything=False).items()}
            self._staged = {
                key: json.dumps({"__ministack_format__": version(key), "payload": state}, default=encode)
                for key, state in states.items()
                if state is not None
            }

    def commit(self) -> None:
        """Write what was staged: first all files, then all names, so that a kill leaves the one state or the other."""
        folder = need("core.persistence", "STATE_DIR", _HOOK)
        with self._writing:
            staged, self._staged = self._staged, {}
            if self._stopped.is_set():  # MiniStack's own last save is newer
                return
            names = [os.path.join(folder, f"{key}.json") for key in staged]
            for name, text in zip(names, staged.values(), strict=True):
                with open(f"{name}.staged", "w") as file:
                    file.write(text)
            for name in names:
                os.replace(f"{name}.staged", name)
            self._objects.forget(before=self._period)

    def _loop(self) -> None:
        logging.getLogger("persistence").setLevel(logging.WARNING)
        while not self._stopped.wait(_SECONDS) and not self._asked.is_set():
            try:
                self.save(everything=False)
            except Exception:
                _log.warning("snapshot failed; the next one follows in %s s", _SECONDS, exc_info=True)


def _services(everything: bool) -> dict[str, Callable[[], dict | None]]:
    services = need("app", "_build_persistence_save_dict", _HOOK)()
    return {key: services[key] for key in sorted(services, key=_turn) if everything or key not in _HEAVY}


def _turn(key: str) -> int:
    """What changes by itself first, so that nothing that lets other threads in (keys in PEM) comes in between."""
    return 0 if key in ("stepfunctions", "dynamodb", "sqs", "sagemaker") else 1


@contextmanager
def _world_stopped() -> Iterator[None]:
    """One instant for all services: a message that its worker deleted after the record was copied would be in neither.

    Copies are plain Python, so no other thread runs as long as the interpreter is not asked to switch.
    docs.python.org/3/library/sys.html#sys.setswitchinterval
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(_LONGEST_STOP)
    time.sleep(2 * before)  # whoever waited already may still ask for a switch after the interval that was
    try:
        yield
    finally:
        sys.setswitchinterval(before)
        time.sleep(0)  # whoever waits since then would wait for the long interval: let it in
