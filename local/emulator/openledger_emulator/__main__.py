"""`python -m openledger_emulator --port N --state DIR --images DIR`: the embedded AWS in one process.

It stops, and saves, on SIGTERM and SIGINT, and also when its standard input closes: whoever started it holds the
other end of that pipe, so even a `kill -9` of the starter leaves nothing behind.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading

from . import object_undo
from . import settings as configuration


def main() -> None:
    settings = configuration.parse(sys.argv[1:])
    scratch = settings.state / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    # Lambda workers run from here. Below a repository whose package.json says "module" their CommonJS runner would not load.
    (scratch / "package.json").write_text('{"type": "commonjs"}\n')
    configuration.export(settings)
    object_undo.restore(settings.object_undo)

    from . import assembly

    assembly.install(settings)
    threading.Thread(target=_stop_with_starter, name="openledger-starter-watch", daemon=True).start()

    from ministack import app

    sys.argv = ["ministack"]
    try:
        app.main()
    finally:
        assembly.stop()
        shutil.rmtree(scratch, ignore_errors=True)


def _stop_with_starter() -> None:
    """The starter never writes; end of file means that it is gone."""
    if sys.stdin is None or sys.stdin.isatty():
        return
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
