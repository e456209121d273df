"""Puts a server together: base model, source, tiers, engine, application."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import torch
from fastapi import FastAPI
from transformers import AutoConfig, AutoTokenizer

from open_lora.adapters.s3_source import S3Bucket, S3Source
from open_lora.adapters.sources import FolderSource, Source
from open_lora.adapters.tiers import AdapterTiers
from open_lora.adapters.weights import Limits, read_adapter
from open_lora.engine_port import AdapterFiles
from open_lora.front.app import make_app
from open_lora.front.gatekeeper import Gatekeeper, secret_from_environment
from open_lora.settings import Settings
from open_lora.torch_engine.base_model import load_base
from open_lora.torch_engine.engine import TorchEngine
from open_lora.torch_engine.lora_linear import PlanHolder, attach, base_weight
from open_lora.torch_engine.scheduler import EngineLimits
from open_lora.vllm_engine import server as vllm
from open_lora.vllm_engine.adapters import VllmTiers, checker, sites_of
from open_lora.vllm_engine.admission import Admission
from open_lora.vllm_engine.engine import VllmEngine

log = logging.getLogger("open_lora")
MEGABYTE = 1 << 20


@dataclass
class Server:
    app: FastAPI
    engine: TorchEngine | VllmEngine
    summary: dict

    async def prefetch(self, settings: Settings) -> None:
        if settings.prefetch:
            found = await self.engine.tiers.prefetch(list(settings.prefetch), settings.pin)
            log.info("prefetched %s", found)

    async def drain(self, seconds: float) -> None:
        await self.engine.drain(seconds)


def assemble(settings: Settings) -> Server:
    """Raises OSError or ValueError when the base model cannot be loaded."""
    bucket = S3Bucket(settings.s3_bucket, settings.s3_prefix) if settings.s3_bucket else None
    base_folder = settings.base or _fetch_base(bucket, settings)
    tokenizer = AutoTokenizer.from_pretrained(base_folder, local_files_only=True)
    limits = Limits(max_rank=settings.max_rank)
    source = _source(settings, bucket, limits)
    make = _vllm_engine if settings.engine == "vllm" else _torch_engine
    engine, vocabulary, summary = make(settings, base_folder, source, limits)
    gatekeeper = Gatekeeper(secret_from_environment) if settings.hosting else None
    app = make_app(engine, tokenizer, vocabulary, base_name=settings.base_name, gatekeeper=gatekeeper, source=source)
    return Server(app, engine, {"engine": settings.engine, **summary})


def _torch_engine(settings: Settings, base_folder: Path, source: Source, limits: Limits) -> tuple[TorchEngine, int, dict]:
    device = _device(settings.device)
    base = load_base(base_folder, device, _dtype(settings.dtype, device), settings.max_model_tokens)
    holder = PlanHolder()
    sites = attach(base.model, holder)
    own_weight = partial(base_weight, base.model)

    def read(files: AdapterFiles):
        return read_adapter(files.directory, files.name, files.key, sites, base.dtype, limits, own_weight)

    tiers = AdapterTiers(source, read, device, settings.device_mb * MEGABYTE, settings.host_mb * MEGABYTE)
    engine = TorchEngine(base, holder, tiers, EngineLimits(
        max_rows=settings.max_batch, chunk_tokens=settings.chunk_tokens, queue=settings.queue,
        queue_per_adapter=max(1, settings.queue // 2), prefix_bytes=settings.prefix_mb * MEGABYTE,
    ))  # fmt: skip
    summary = {"device": str(device), "dtype": str(base.dtype).removeprefix("torch."), "packed": base.packed, "way": base.way}
    return engine, base.vocabulary, summary


def _vllm_engine(settings: Settings, base_folder: Path, source: Source, limits: Limits) -> tuple[VllmEngine, int, dict]:
    vocabulary = AutoConfig.from_pretrained(base_folder, local_files_only=True).get_text_config().vocab_size
    check = checker(sites_of(base_folder), limits)
    server = vllm.attach(settings.vllm_url) if settings.vllm_url else vllm.start(
        base_folder, max_rows=settings.max_batch, max_rank=settings.max_rank, on_device=settings.max_batch,
        loaded=settings.vllm_adapters, max_model_tokens=settings.max_model_tokens, dtype=settings.dtype,
    )  # fmt: skip
    client = httpx.AsyncClient(
        base_url=server.url, timeout=httpx.Timeout(120, connect=5), limits=httpx.Limits(max_connections=None), trust_env=False
    )
    tiers = VllmTiers(source, check, client, settings.vllm_adapters)
    queue = EngineLimits(queue=settings.queue, queue_per_adapter=max(1, settings.queue // 2))
    admission = Admission(settings.max_batch, queue.queue, queue.queue_per_adapter, queue.queue_seconds)
    return VllmEngine(server, client, tiers, admission), vocabulary, {"vllm": server.url}


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(wanted)


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    """On a CPU float32, whatever the weights were stored in: exact, and quicker than 16 bit on most of them."""
    if wanted == "auto":
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    return getattr(torch, wanted)


def _source(settings: Settings, bucket: S3Bucket | None, limits: Limits) -> Source:
    if bucket is None:
        return FolderSource(settings.adapters, settings.base_id)
    return S3Source(bucket, settings.cache / "adapters", settings.disk_mb * MEGABYTE, settings.base_id, limits)


def _fetch_base(bucket: S3Bucket, settings: Settings) -> Path:
    """`bases/<id>/` to the local disk; a copy of an earlier process is used again when the sizes agree."""
    folder = settings.cache / "bases" / settings.base_id
    objects = bucket.list(f"bases/{settings.base_id}/")
    if not objects:
        raise OSError(f"s3://{settings.s3_bucket} has no bases/{settings.base_id}/")
    for name, size in objects:
        target = (folder / name).resolve()
        if not name or name.endswith("/") or not target.is_relative_to(folder.resolve()):
            continue
        if not target.is_file() or target.stat().st_size != size:
            bucket.download(f"bases/{settings.base_id}/{name}", target)
    return folder
