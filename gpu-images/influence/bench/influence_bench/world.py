"""The base model and the draws of one run, made once and kept under the digest of what they are made from."""

import hashlib
import inspect
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from influence.base_model import load_base

from . import task as task_module
from .task import Protocol, Task, make_base, make_task, read_task
from .texts import divide


@dataclass(frozen=True)
class World:
    """sources: token ids of each contributor's text, under the base's own tokenizer."""

    cache: Path
    base: Path
    sources: dict[str, list[int]]
    seed: int

    def draw(self, number: int, protocol: Protocol) -> Task:
        """Draw 1 or 2 (or another purpose's number): rows and queries by its own seed; the contributors stay."""
        seed = 1000 * self.seed + number
        about = hashlib.sha256(repr((self.base.name, protocol, seed, sorted(self.sources.items()))).encode())
        about.update(inspect.getsource(task_module).encode())
        folder = self.cache / f"draw-{about.hexdigest()[:24]}"
        if (folder / "task.json").is_file():
            return read_task(folder)
        return make_task(folder, self.base, self.sources, protocol, seed)


def make_world(cache: Path, sources: dict[str, str], protocol: Protocol, seed: int) -> World:
    cache.mkdir(parents=True, exist_ok=True)
    texts, pretraining = divide(sources, seed)
    about = hashlib.sha256(repr((pretraining, protocol.pretraining_steps)).encode())
    about.update(inspect.getsource(make_base).encode())
    base = cache / f"base-{about.hexdigest()[:24]}"
    if not base.is_dir():
        partial = base.with_suffix(".writing")
        shutil.rmtree(partial, ignore_errors=True)
        make_base(partial, pretraining, protocol.pretraining_steps)
        os.rename(partial, base)
    tokenizer = load_base(base).tokenizer
    return World(cache, base, {name: tokenizer(text)["input_ids"] for name, text in texts.items()}, seed)
