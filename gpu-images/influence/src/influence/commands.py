"""The manners of a command: progress on stderr, the last line of stdout one JSON object, refusals with their code."""

import json
import signal
import sys
import time

from .allocator import keep_freed_memory
from .errors import InfluenceError


def _stop(number: int, _frame) -> None:
    """Leaves by way of every `finally`, and is not stopped at that."""
    for word in (signal.SIGINT, signal.SIGTERM):
        signal.signal(word, signal.SIG_IGN)
    sys.exit(128 + number)


def run_command(main, argv: list[str]) -> None:
    """Exit 0 when done, 1 for a refused input (argparse exits 2 for wrong usage), 128 + signal when stopped."""
    keep_freed_memory()
    for word in (signal.SIGINT, signal.SIGTERM):
        signal.signal(word, _stop)
    try:
        result = main(argv)
    except InfluenceError as refused:
        print(f"error {refused.code}: {refused.message}", file=sys.stderr)
        print(json.dumps({"error": refused.as_dict()}))
        sys.exit(1)
    if result is not None:
        print(json.dumps(result))


def progress(total: int, what: str):
    """Returns say(done): at most one line every two seconds."""
    state = {"done": 0, "next": time.monotonic() + 2}

    def say(done: int) -> None:
        state["done"] += done
        if time.monotonic() >= state["next"]:
            print(f"{what} {state['done']}/{total}", file=sys.stderr, flush=True)
            state["next"] = time.monotonic() + 2

    return say
