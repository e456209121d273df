"""Settings of a server process: arguments for the open server, environment variables for hosting."""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    port: int
    host: str
    hosting: bool
    engine: str
    vllm_url: str | None
    vllm_adapters: int
    device: str
    dtype: str
    max_batch: int
    max_model_tokens: int | None
    max_rank: int
    device_mb: int
    host_mb: int
    disk_mb: int
    prefix_mb: int
    queue: int
    chunk_tokens: int
    base_name: str | None
    prefetch: tuple[str, ...]
    pin: bool
    drain_seconds: float
    base: Path | None  # open server, or hosting with a local MODELS_URI
    adapters: Path | None
    s3_bucket: str | None = None
    s3_prefix: str = ""
    base_id: str | None = None
    cache: Path = Path(tempfile.gettempdir()) / "open-lora"
    cache_is_ours: bool = False  # made for this process, to be removed with it


def parser() -> argparse.ArgumentParser:
    out = argparse.ArgumentParser(
        prog="open-lora",
        description="Serves one base model with any number of LoRA adapters behind an OpenAI-compatible API. "
        "Without --base, everything is taken from the environment (MODELS_URI, BASE_ID, HMAC_SECRET_ARN or HMAC_SECRET, "
        "SAGEMAKER_BIND_TO_PORT) and only /ping and /invocations are served.",
    )
    add = out.add_argument
    add("--base", type=Path, help="folder of a Hugging Face causal LM with safetensors weights")
    add("--adapters", type=Path, help="folder of PEFT adapters: DIR/<name>/adapter_config.json + adapter_model.safetensors")
    add("--port", type=int, help="TCP port (0: any free one)")
    add("--host", default=None, help="address to listen on (default 127.0.0.1, in hosting mode 0.0.0.0)")
    add("--engine", default="torch", help="torch: ours; vllm: a stock vLLM server on loopback (OPEN_LORA_ENGINE)")
    add("--vllm-url", default=None, help="attach to this vLLM instead of starting one (OPEN_LORA_VLLM_URL)")
    add("--vllm-adapters", type=int, default=256, help="adapters that vLLM keeps loaded; --max-batch of them in one batch")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"], help="auto: float32 on a CPU")
    add("--max-batch", type=int, default=16, help="sequences that run at once")
    add("--max-model-tokens", type=int, default=None, help="prompt and output together (default: the model's limit; OPEN_LORA_MAX_MODEL_TOKENS)")
    add("--max-rank", type=int, default=128)
    add("--device-mb", type=int, default=2048, help="memory for adapters on the device")
    add("--host-mb", type=int, default=512, help="memory for adapters on the host")
    add("--disk-mb", type=int, default=8192, help="disk for adapters that were fetched from S3")
    add("--prefix-mb", type=int, default=64, help="memory for keys and values of known prompts")
    add("--queue", type=int, default=512, help="requests that may wait; more are answered with 429")
    add("--chunk-tokens", type=int, default=256, help="prompt tokens computed per step")
    add("--served-base-name", default=None, help="name of the base model itself (default: the folder's name)")
    add("--no-base", action="store_true", help="do not serve the base model under a name of its own")
    add("--prefetch", default="", help="adapters to load at start, separated by commas")
    add("--pin", action="store_true", help="keep the prefetched adapters on the device")
    add("--drain-seconds", type=float, default=25.0)
    return out


def read_settings(arguments: list[str], environment: dict[str, str]) -> Settings:
    """Exits with 2 and a message for wrong usage."""
    options = parser()
    # SageMaker starts hosting containers with the word `serve`.
    args = options.parse_args([word for word in arguments if word != "serve"])
    hosting = args.base is None
    mode = environment.get("OPEN_LORA_MODE")
    if mode == "hosting" and not hosting:
        options.error("OPEN_LORA_MODE=hosting takes the base from the environment, not from --base")
    if not hosting and args.adapters is None:
        options.error("--adapters is needed with --base")
    for path, name in ((args.base, "--base"), (args.adapters, "--adapters")):
        if path is not None and not path.is_dir():
            options.error(f"{name}: {path} is not a folder")
    place = _models_place(environment, options) if hosting else {"base": args.base.resolve(), "adapters": args.adapters.resolve()}
    port = args.port if args.port is not None else int(environment.get("SAGEMAKER_BIND_TO_PORT", "8080"))
    engine = environment.get("OPEN_LORA_ENGINE", args.engine)
    if engine not in ("torch", "vllm"):
        options.error(f"--engine: {engine} is neither torch nor vllm")
    name = None if hosting or args.no_base else args.served_base_name or args.base.resolve().name
    if name is not None and (args.adapters / name / "adapter_config.json").exists():
        options.error(f"--adapters holds an adapter with the base's name, {name!r}: --served-base-name gives the base another, --no-base none")
    return Settings(
        port=port, host=args.host or ("0.0.0.0" if hosting else "127.0.0.1"), hosting=hosting,
        engine=engine, vllm_url=environment.get("OPEN_LORA_VLLM_URL", args.vllm_url),
        vllm_adapters=int(environment.get("OPEN_LORA_VLLM_ADAPTERS", args.vllm_adapters)),
        device=environment.get("OPEN_LORA_DEVICE", args.device), dtype=environment.get("OPEN_LORA_DTYPE", args.dtype),
        max_batch=int(environment.get("OPEN_LORA_MAX_BATCH", args.max_batch)), max_model_tokens=_tokens(environment.get("OPEN_LORA_MAX_MODEL_TOKENS"), args.max_model_tokens),
        max_rank=int(environment.get("OPEN_LORA_MAX_RANK", args.max_rank)), device_mb=int(environment.get("OPEN_LORA_DEVICE_MB", args.device_mb)),
        host_mb=int(environment.get("OPEN_LORA_HOST_MB", args.host_mb)),
        disk_mb=int(environment.get("OPEN_LORA_DISK_MB", args.disk_mb)),
        prefix_mb=args.prefix_mb, queue=args.queue, chunk_tokens=args.chunk_tokens, base_name=name,
        prefetch=tuple(filter(None, environment.get("OPEN_LORA_PREFETCH", args.prefetch).split(","))),
        pin=args.pin, drain_seconds=args.drain_seconds, **place,
    )  # fmt: skip


def _tokens(given: str | None, argument: int | None) -> int | None:
    return int(given) if given else argument


def _models_place(environment: dict[str, str], options: argparse.ArgumentParser) -> dict:
    uri, base_id = environment.get("MODELS_URI"), environment.get("BASE_ID")
    if not uri or not base_id:
        options.error("without --base, MODELS_URI and BASE_ID must be set")
    if "/" in base_id or base_id.startswith("."):
        options.error("BASE_ID must be one path segment")
    if uri.startswith("s3://"):
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        given = environment.get("OPEN_LORA_CACHE")
        cache = Path(given or tempfile.mkdtemp(prefix="open-lora-"))
        place = {"base": None, "adapters": None, "s3_bucket": bucket, "s3_prefix": prefix, "base_id": base_id}
        return {**place, "cache": cache, "cache_is_ours": given is None}
    root = Path(uri.removeprefix("file://"))
    if not (root / "bases" / base_id).is_dir():
        options.error(f"MODELS_URI: {root}/bases/{base_id} is not a folder")
    return {"base": root / "bases" / base_id, "adapters": root / "adapters", "base_id": base_id}


def environment() -> dict[str, str]:
    return dict(os.environ)
