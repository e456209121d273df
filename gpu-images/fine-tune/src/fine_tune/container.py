"""SageMaker's training container, as folders: where input lies and where output goes.

Source: docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html. The root is
SAGEMAKER_BASE_DIR, so that the same entry point runs as a plain process on any folder.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from fine_tune.refusal import Refusal

ROW_CHANNELS = ("rows", "training", "train")
BASE_CHANNELS = ("base", "model")


@dataclass(frozen=True)
class Container:
    root: Path

    @staticmethod
    def here() -> "Container":
        return Container(Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml")))

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    def channel(self, *names: str) -> Path | None:
        """The first of these channels that is there and not empty."""
        for name in names:
            folder = self.root / "input" / "data" / name
            if folder.is_dir() and any(folder.iterdir()):
                return folder
        return None

    def config(self, name: str) -> dict:
        """`input/config/<name>.json`, or {} where it is not there."""
        path = self.root / "input" / "config" / f"{name}.json"
        if not path.exists():
            return {}
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise Refusal("bad-config", f"input/config/{name}.json is not JSON: {error}") from None
        if not isinstance(found, dict):
            raise Refusal("bad-config", f"input/config/{name}.json must be an object")
        return found

    def row_files(self) -> tuple[Path, list[Path]]:
        """The channel with the rows, and its *.jsonl files sorted by path."""
        folder = self.channel(*ROW_CHANNELS)
        if folder is None:
            raise Refusal("no-rows", f"no channel with rows: put *.jsonl files into input/data/{ROW_CHANNELS[0]}/")
        files = sorted((p for p in folder.rglob("*.jsonl") if p.is_file()), key=lambda p: p.relative_to(folder).as_posix())
        if not files:
            raise Refusal("no-rows", f"input/data/{folder.name}/ holds no *.jsonl file")
        return folder, files

    def base(self) -> Path:
        """The folder of the base model: config.json, *.safetensors and a tokenizer."""
        folder = self.channel(*BASE_CHANNELS)
        if folder is None:
            raise Refusal("no-base", f"no base model: put a Hugging Face folder into input/data/{BASE_CHANNELS[0]}/")
        if not (folder / "config.json").exists():
            inner = sorted(p.parent for p in folder.glob("*/config.json"))
            if len(inner) != 1:
                raise Refusal("no-base", f"input/data/{folder.name}/ has no config.json")
            folder = inner[0]
        if not any(folder.glob("*.safetensors")):
            raise Refusal("no-base", f"{folder.name}/ has no *.safetensors: pickled weights are not loaded")
        if not any((folder / name).exists() for name in ("tokenizer.json", "tokenizer.model", "vocab.json")):
            raise Refusal("no-base", f"{folder.name}/ has no tokenizer.json")
        return folder
