"""SIGTERM: a job gives its machine back at once, and loses nothing that a checkpoint holds."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fine_tune.refusal import Interrupted


class Interruption:
    """Raises Interrupted in the main thread when SIGTERM comes; inside `noted()` it is only noted.

    A library may swallow what is raised in it, hence `check()` between the stages.
    """

    def __init__(self) -> None:
        self.came, self._noting = False, False
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handle)

    def _handle(self, *_: object) -> None:
        first, self.came = not self.came, True
        if first and not self._noting:
            self.check()

    def check(self) -> None:
        if self.came:
            raise Interrupted("SIGTERM came")

    @contextmanager
    def noted(self) -> Iterator[None]:
        """What must not break off in the middle: the training's own step and the writing of the manifest."""
        self._noting = True
        try:
            yield
        finally:
            self._noting = False
