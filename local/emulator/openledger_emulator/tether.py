"""`python tether.py GRACE_SECONDS COMMAND...`: runs a command that cannot outlive its starter.

The command gets a process group of its own. SIGTERM stops the whole group: SIGTERM first, SIGKILL after the grace.
The end of the starter's pipe (standard input) stops it too, with a grace of two seconds: nobody waits any more. Leaves with the command's exit code (128 + n for a signal n).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time


def main() -> int:
    grace = float(sys.argv[1])
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, start_new_session=True)

    def signal_group(number: int) -> None:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            pass

    def stop(seconds: float) -> None:
        signal_group(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        signal_group(signal.SIGKILL)

    def watch_starter() -> None:
        while os.read(0, 4096):
            pass
        stop(min(grace, 2.0))

    def on_signal(*_: object) -> None:
        threading.Thread(target=stop, args=(grace,), daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    threading.Thread(target=watch_starter, daemon=True).start()
    code = child.wait()
    signal_group(signal.SIGKILL)  # what the command itself left running in its group
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
