"""Server processes of the benchmark, and the base folder that they serve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile

from shapes import make_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast


def write_base(directory: Path, shape: dict, seed: int) -> None:
    """A model and a byte-level tokenizer whose every id decodes to one character."""
    make_model(shape, seed).save_pretrained(directory)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {"<s>": 0, "</s>": 1} | {piece: 2 + i for i, piece in enumerate(alphabet)}
    for index in range(len(words), shape["vocab_size"]):
        words[chr(ord("A") + index % 26) + chr(ord("a") + index // 26 % 26) + chr(ord("a") + index // 676)] = index
    raw = Tokenizer(models.BPE(vocab=words, merges=[]))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>").save_pretrained(directory)


class Replica:
    def __init__(self, root: Path, *arguments: str):
        command = [sys.executable, "-m", "open_lora.serve", "--base", f"{root}/base", "--adapters", f"{root}/adapters", "--port", "0", *arguments]
        self.said = TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.said, text=True)
        self.url = ""

    def ready(self) -> Replica:
        """Raises RuntimeError with what the server said last when it ended before it listened."""
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            raise RuntimeError(f"the server ended with code {self.process.wait(40)}: {self.said.read()[-2000:]}")
        self.url = json.loads(line)["url"]
        return self

    def __enter__(self) -> Replica:
        return self.ready()

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(40)
