"""Processes of the emulator: one per training job and one per hosted container."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")
# What a process needs of this machine. Credentials, NODE_OPTIONS and the like stay here: a container has none of them.
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


class Process:
    """A command in its own process group, whose lines go to `on_line` and which dies with the emulator."""

    def __init__(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, on_line: Callable[[str], None], grace: float
    ):
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        threads = str(max(1, (os.cpu_count() or 2) // 2))
        base = {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
        self._child = subprocess.Popen(
            [sys.executable, "-S", "-E", str(_TETHER), str(grace), *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**inherited, **base, **env},
        )
        self._pump = threading.Thread(target=self._read, args=(on_line,), name="openledger-log-pump", daemon=True)
        self._pump.start()

    def _read(self, on_line: Callable[[str], None]) -> None:
        assert self._child.stdout is not None
        for raw in self._child.stdout:
            on_line(raw.decode("utf-8", "replace").rstrip("\r\n"))

    @property
    def pid(self) -> int:
        return self._child.pid

    def running(self) -> bool:
        return self._child.poll() is None

    def wait(self, seconds: float | None = None) -> int | None:
        """Exit code, or None when it still runs after `seconds`. All of its lines were delivered by then."""
        try:
            code = self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._pump.join(5)
        return code

    def end(self) -> None:
        """Close the pipe that the tether watches: the group gets two seconds. Waits for its end."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self.wait(5)

    def stop(self) -> None:
        """SIGTERM to the group; the tether follows with SIGKILL after the grace. Does not wait."""
        if self.running():
            self._child.send_signal(signal.SIGTERM)


def free_port() -> int:
    """A port of the loopback interface that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
