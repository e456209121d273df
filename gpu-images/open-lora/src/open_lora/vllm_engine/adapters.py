"""Adapters in vLLM. The last tier is vLLM itself: `/v1/load_lora_adapter` and `/v1/unload_lora_adapter`, by content key.

The name in vLLM is the digest, never the client's name: vLLM keys its prefix cache by adapter name, so a name with new
content would be answered from the old one's cache. Our checks come first, on the files that vLLM will read; those files
stay until the adapter is unloaded, since vLLM reads them again after its own memory let go of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from open_lora.adapters.byte_budget import Entry
from open_lora.adapters.layout import AdapterLayout, Site
from open_lora.adapters.sources import Source
from open_lora.adapters.tiers import AdapterTiers
from open_lora.adapters.weights import Limits, read_adapter
from open_lora.engine_port import AdapterFiles
from open_lora.refusals import Refusal
from open_lora.torch_engine.lora_linear import find_sites
from open_lora.vllm_engine.wire import error_message

log = logging.getLogger("open_lora")


@dataclass(frozen=True)
class VllmAdapter:
    name: str
    key: str
    layout: AdapterLayout
    directory: Path
    bytes: int


def sites_of(base: Path) -> dict[str, Site]:
    """Linear maps of the base, from its config alone: nothing is loaded."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base, local_files_only=True))
    return {path: site for path, (site, _) in find_sites(model).items()}


def checker(sites: dict[str, Site], limits: Limits) -> Callable[[AdapterFiles], VllmAdapter]:
    """All checks of TorchEngine: vLLM would serve some of what they refuse."""

    def check(files: AdapterFiles) -> VllmAdapter:
        host = read_adapter(files.directory, files.name, files.key, sites, torch.float32, limits)
        return VllmAdapter(files.name, files.key, host.layout, files.directory, files.bytes)

    return check


class VllmTiers(AdapterTiers):
    """`loaded`: adapters known to vLLM at once, its --max-cpu-loras."""

    def __init__(self, source: Source, check: Callable[[AdapterFiles], VllmAdapter], client: httpx.AsyncClient, loaded: int):
        super().__init__(source, check, torch.device("cuda"), loaded, 0)  # names a device only: no tensor is made
        self.client = client
        self._leaving: dict[str, asyncio.Task] = {}

    def _from_source(self, name: str):
        files = self.source.fetch(name)
        try:
            return self.read(files), files.found, 0.0
        except BaseException:
            self.source.done(name)
            raise

    async def _bring(self, loop, host: VllmAdapter) -> VllmAdapter:
        leaving = self._leaving.get(host.key)
        if leaving is not None:
            await asyncio.wait({leaving})
        try:
            reply = await self.client.post("/v1/load_lora_adapter", json={"lora_name": host.key, "lora_path": str(host.directory)})
        except httpx.HTTPError as error:
            self.source.done(host.name)
            raise Refusal("engine_failed", f"vLLM cannot be reached ({type(error).__name__})") from None
        if reply.status_code != 200:
            message = error_message(_json(reply))
            if reply.status_code != 400 or "already been loaded" not in message:  # by digest: the same content
                self.source.done(host.name)
                raise Refusal("adapter_unsupported", f"vLLM refuses the adapter: {message}")
        return host

    def _size(self, host: VllmAdapter) -> int:
        return 1

    def _demote(self, entry: Entry) -> None:
        self._gone(entry.value)

    def _gone(self, resident: VllmAdapter) -> None:
        task = self._leaving[resident.key] = asyncio.ensure_future(self._unload(resident))
        task.add_done_callback(lambda _: self._leaving.pop(resident.key, None))

    async def _unload(self, resident: VllmAdapter) -> None:
        try:
            reply = await self.client.post("/v1/unload_lora_adapter", json={"lora_name": resident.key})
            if reply.status_code not in (200, 404):
                log.warning("vLLM keeps %s: %s", resident.key, error_message(_json(reply)))
        except httpx.HTTPError as error:
            log.warning("vLLM keeps %s: %s", resident.key, type(error).__name__)
        finally:
            self.source.done(resident.name)

    async def unload(self, name: str, seconds: float = 30.0) -> bool:
        unloaded = await super().unload(name, seconds)
        if self._leaving:
            await asyncio.wait(set(self._leaving.values()))
        return unloaded

    def forget(self, key: str) -> None:
        """vLLM no longer knows it (it was restarted): the next request loads it again."""
        entry = self.device.pop(key)
        if entry is not None:
            self.source.done(entry.value.name)


def _json(reply: httpx.Response) -> object:
    try:
        return reply.json()
    except ValueError:
        return None
