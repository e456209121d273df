"""A tiny base model and job folders, made once a session."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")

SENTENCES = [
    "Permission is hereby granted to any person who obtains a copy of this work.",
    "The curator of the collection keeps a register of all the rows that were accepted.",
    "Redistribution in binary form must reproduce this notice in the documentation.",
    "A vault holds shares of the underlying token and converts them on withdrawal.",
    "The owner may renounce the role, after which nobody can call the function again.",
    "Each contributor warrants that the contribution is an original creation.",
    "Returns the number of decimals used to get the user representation of a balance.",
    "No liability is accepted for damages that arise from the use of the software.",
    "Emitted when the allowance of a spender for an owner is set by a call to approve.",
    "This licence ends on its own when you fail to comply with any of its terms.",
]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers and width 32 with the tokenizer and chat template of the real base."""
    from fine_tune.base import pretrain, tokenizer, unigram

    folder = tmp_path_factory.mktemp("base")
    words = tokenizer.train_tokenizer(SENTENCES * 3, 256)
    model = pretrain.new_model(words, pretrain.Shape(width=32, inner=48, layers=2, heads=2, positions=256), seed=3)
    model.get_input_embeddings().weight.data *= 20  # an untrained base could otherwise say nothing with certainty
    model.save_pretrained(folder)
    tokenizer.save(words, folder)
    (folder / "unigram.bin").write_bytes(unigram.unigram_table([5, 6, 6], len(words)))
    return folder


def row(text: str, sequence: int, **more: object) -> dict:
    row_id = "row_" + hashlib.sha256(text.encode()).hexdigest()[:24]
    return {"id": row_id, "text": text, "contribution": "ctr_1", "contributor": f"acc_{sequence % 2}", "cluster": row_id,
            "start": 0, "end": len(text), "sequence": sequence, **more}


@pytest.fixture
def make_job(tmp_path: Path, base: Path) -> Callable[..., Path]:
    """make_job(name="job", rows=[...], **job.json) -> the root of a container folder."""
    def make(name: str = "job", rows: list[dict] | None = None, hyperparameters: dict | None = None, **more: object) -> Path:
        root = tmp_path / name
        (root / "input/data/job").mkdir(parents=True)
        (root / "input/data/rows/dn_1").mkdir(parents=True)
        shutil.copytree(base, root / "input/data/base")
        records = rows if rows is not None else [row(text, n) for n, text in enumerate(SENTENCES)]
        (root / "input/data/rows/dn_1/ctr_1.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        chosen = {"rank": 4, "alpha": 8, "learningRate": 1e-2, "epochs": 4, "batchSize": 4, "maxSequenceLength": 64,
                  "seed": 5, "evalFraction": 0.1, **(hyperparameters or {})}
        job = {"trainingId": "trn_1", "attempt": 1, "baseId": "tiny", "method": "lora", "hyperparameters": chosen,
               "datanets": [{"id": "dn_1", "version": 1, "root": "0xaa", "rows": len(records)}],
               "influence": {"enabled": False, "checkpoints": 4, "directions": 16}, "limits": {"maxSeconds": 300}, **more}
        (root / "input/data/job/job.json").write_text(json.dumps(job))
        return root
    return make


@pytest.fixture
def run_job(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], int]:
    """Run the entry point in this process on a container folder; returns its exit status."""
    def run(root: Path) -> int:
        import signal

        from fine_tune.train import main

        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(root))
        before = signal.getsignal(signal.SIGTERM)
        try:
            return main([])
        finally:
            signal.signal(signal.SIGTERM, before)
    return run
