"""Tiny random models and stock PEFT adapters, made here: nothing is downloaded and nothing is committed."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from pathlib import Path

# server processes of the tests run this source, whatever is installed
os.environ["PYTHONPATH"] = str(Path(__file__).parents[1] / "src")

import socket
import subprocess
import sys
import time

import httpx
import pytest
import torch

from worlds import make_adapter, make_base

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `base/` and `adapters/` of several ranks and target modules."""
    root = tmp_path_factory.mktemp("llama")
    make_base(root / "base", "llama")
    make_adapter(root, "r4-all", rank=4)
    make_adapter(root, "r8-qv", rank=8, targets=["q_proj", "v_proj"])
    make_adapter(root, "r16-rslora", rank=16, rslora=True)
    make_adapter(root, "r3-down", rank=3, targets=["down_proj"])
    make_adapter(root, "r40-mlp", rank=40, targets=["gate_proj", "up_proj", "down_proj"], alpha=7)
    make_adapter(root, "r8-all", rank=8, seed=5)
    make_adapter(root, "patterns", rank=4, rank_pattern={"q_proj": 2, "layers.1.mlp.down_proj": 6}, alpha_pattern={"v_proj": 3})
    return root


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """MiniStack on a free port: S3 and Secrets Manager."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "PERSIST_STATE": "0"}
    process = subprocess.Popen(
        [sys.executable, "-m", "ministack"], env={**os.environ, **settings}, cwd=tmp_path_factory.mktemp("aws"),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    environment = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }  # fmt: skip
    for _ in range(300):
        try:
            httpx.get(environment["AWS_ENDPOINT_URL"], timeout=1)
            break
        except httpx.HTTPError:
            time.sleep(0.1)
    yield environment
    process.terminate()
    process.wait(10)
