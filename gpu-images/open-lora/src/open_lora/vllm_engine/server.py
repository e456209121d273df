"""The vLLM server process: started on loopback by us, or attached to where an operator runs it there."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

log = logging.getLogger("open_lora")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
START_SECONDS = 1800.0  # weights from a cold disk and CUDA graphs
RANKS = (8, 16, 32, 64, 128, 256)  # of --max-lora-rank, in every version


@dataclass
class VllmServer:
    url: str
    base_name: str
    max_model_tokens: int
    process: subprocess.Popen | None = None

    def alive(self) -> bool:
        return self.process is None or self.process.poll() is None

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(3)  # a drain ends within 30 s, whatever vLLM does
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(5)


def attach(url: str) -> VllmServer:
    """Raises ValueError: not on loopback (its admin routes have no lock), no answer, or no model."""
    if urlsplit(url).hostname not in LOOPBACK:
        raise ValueError(f"vLLM must be on loopback, {url} is not: whoever reaches it can load adapters")
    return _answering(url.rstrip("/"), None, 30.0)


def start(
    base: Path, *, max_rows: int, max_rank: int, on_device: int, loaded: int, max_model_tokens: int | None, dtype: str
) -> VllmServer:
    """`on_device` adapters in a batch, `loaded` kept in vLLM's memory. Raises ValueError when it does not come up."""
    program = shutil.which("vllm")
    if program is None:
        raise ValueError("the vllm command is not installed; install it or name a running server with --vllm-url")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        program, "serve", str(base), "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "base",
        "--enable-lora", "--max-loras", str(min(on_device, loaded)), "--max-cpu-loras", str(loaded),
        "--max-lora-rank", str(next((rank for rank in RANKS if max_rank <= rank), RANKS[-1])),
        "--max-num-seqs", str(max_rows), "--dtype", dtype, "--generation-config", "vllm",
    ]  # fmt: skip
    if max_model_tokens is not None:
        command += ["--max-model-len", str(max_model_tokens)]
    more = {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, env={**os.environ, **more}, stdin=subprocess.DEVNULL, stdout=2)  # its output is progress
    try:
        return _answering(f"http://127.0.0.1:{port}", process, START_SECONDS)
    except BaseException:
        VllmServer("", "", 0, process).stop()
        raise


def _answering(url: str, process: subprocess.Popen | None, seconds: float) -> VllmServer:
    deadline = time.monotonic() + seconds
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
        while True:
            try:
                if client.get("/health").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            if process is not None and process.poll() is not None:
                raise ValueError(f"vLLM ended with code {process.returncode} before it answered")
            if time.monotonic() > deadline:
                raise ValueError(f"vLLM at {url} does not answer")
            time.sleep(0.2)
        models = client.get("/v1/models").json().get("data") or []
    base = next((model for model in models if not model.get("parent")), None)
    if base is None or not base.get("max_model_len"):
        raise ValueError(f"vLLM at {url} serves no base model")
    log.info("vLLM answers at %s: %s, %d tokens", url, base["id"], base["max_model_len"])
    return VllmServer(url, base["id"], int(base["max_model_len"]), process)
