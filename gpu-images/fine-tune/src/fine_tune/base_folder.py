"""The base model as it came by the channel: tokenizer, weights, digests."""

import hashlib
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from fine_tune.digest import files_digest, folder_files
from fine_tune.job import Job
from fine_tune.refusal import Refusal

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja",
                   "tokenizer.model", "vocab.json", "merges.txt", "added_tokens.json")


def check_digest(base: Path, job: Job) -> tuple[str, dict[str, str]]:
    """(digest, sha256 by file). Refused where the job was made for another base than the one that came."""
    files = folder_files(base)
    digest = files_digest(files)
    if job.base_digest and job.base_digest != digest:
        raise Refusal("wrong-base", f"the base in the channel has digest {digest}, the job names {job.base_digest}")
    return digest, files


def load_tokenizer(base: Path) -> PreTrainedTokenizerBase:
    try:
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise Refusal("bad-base", f"the tokenizer cannot be read: {error}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise Refusal("bad-base", "the tokenizer has neither a padding nor an end-of-text token")
    return tokenizer


def load_model(base: Path, method: str) -> PreTrainedModel:
    """float32 on a CPU (bfloat16 trains slower there) and for full precision, else bfloat16; 4 bits for qlora on a GPU."""
    cuda = torch.cuda.is_available()
    more: dict[str, object] = {}
    if method == "qlora":
        if not cuda:
            raise Refusal("method-needs-gpu", "qlora keeps the base in 4 bits, which needs a GPU: take the method lora")
        try:
            import bitsandbytes  # noqa: F401
        except ImportError:
            raise Refusal("method-needs-gpu", "qlora needs the package bitsandbytes in the training image") from None
        from transformers import BitsAndBytesConfig

        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16)
    precise = not cuda or method == "full-precision-lora"
    try:
        return AutoModelForCausalLM.from_pretrained(
            base, local_files_only=True, trust_remote_code=False, use_safetensors=True,
            dtype=torch.float32 if precise else torch.bfloat16, **more)
    except Exception as error:
        raise Refusal("bad-base", f"the model cannot be read: {error}") from error


def copy_tokenizer(base: Path, model: Path) -> dict[str, str]:
    """Copy tokenizer and chat template beside the adapter; returns their sha256 by name."""
    copied = {}
    for name in TOKENIZER_FILES:
        if (base / name).exists():
            content = (base / name).read_bytes()
            (model / name).write_bytes(content)
            copied[name] = hashlib.sha256(content).hexdigest()
    return copied
