"""Adapters that are not served, each by its code; the server goes on."""

from __future__ import annotations

import asyncio
import hashlib
import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_oracle import greedy
from worlds import make_adapter, make_base, make_engine, stock

from open_lora.adapters.sources import FolderSource
from open_lora.refusals import Refusal
from open_lora.torch_engine.lora_linear import find_sites


Q = "base_model.model.model.layers.0.self_attn.q_proj"


def copy(llama: Path, root: Path, name: str = "broken") -> Path:
    return Path(shutil.copytree(llama / "adapters" / "r4-all", root / "adapters" / name))


def edit_config(folder: Path, **changes) -> None:
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | changes))


def edit_weights(folder: Path, change) -> None:
    weights = load_file(folder / "adapter_model.safetensors")
    change(weights)
    save_file(weights, folder / "adapter_model.safetensors")


def truncate(folder: Path) -> None:
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def nan(weights: dict) -> None:
    weights[f"{Q}.lora_A.weight"][0, 0] = float("nan")


def overflow_in_scaling(weights: dict) -> None:
    weights[f"{Q}.lora_B.weight"][0, 0] = 3e38


BREAKS = {
    "pickle instead of weights": ("adapter_pickle", lambda f: (f / "adapter_model.safetensors").rename(f / "adapter_model.bin")),
    "pickle beside weights": ("adapter_pickle", lambda f: (f / "training_args.bin").write_bytes(pickle.dumps({"a": 1}))),
    "truncated": ("adapter_corrupt", truncate),
    "empty weights": ("adapter_corrupt", lambda f: (f / "adapter_model.safetensors").write_bytes(b"")),
    "no weights": ("adapter_corrupt", lambda f: (f / "adapter_model.safetensors").unlink()),
    "huge header": ("adapter_corrupt", lambda f: (f / "adapter_model.safetensors").write_bytes(b"\xff" * 64)),
    "config is not JSON": ("adapter_corrupt", lambda f: (f / "adapter_config.json").write_text("{")),
    "config is a list": ("adapter_corrupt", lambda f: (f / "adapter_config.json").write_text("[]")),
    "NaN": ("adapter_not_finite", lambda f: edit_weights(f, nan)),
    "infinite after scaling": ("adapter_not_finite", lambda f: edit_weights(f, overflow_in_scaling)),
    "half a pair": ("adapter_corrupt", lambda f: edit_weights(f, lambda w: w.pop(f"{Q}.lora_B.weight"))),
    "integers": ("adapter_corrupt", lambda f: edit_weights(f, lambda w: w.update({f"{Q}.lora_A.weight": torch.ones(4, 48, dtype=torch.int32)}))),
    "other width": ("adapter_wrong_base", lambda f: edit_weights(f, lambda w: w.update({f"{Q}.lora_A.weight": torch.ones(4, 47)}))),
    "unknown module": ("adapter_wrong_base", lambda f: edit_weights(f, lambda w: w.update({k.replace("layers.0", "layers.9"): v.clone() for k, v in list(w.items()) if Q in k}))),
    "another tensor": ("adapter_unsupported", lambda f: edit_weights(f, lambda w: w.update({"base_model.model.lm_head.weight": torch.ones(2)}))),
    "rank differs from config": ("adapter_corrupt", lambda f: edit_config(f, r=5)),
    "rank over the limit": ("adapter_rank_too_large", lambda f: edit_config(f, r=65)),
    "rank zero": ("adapter_corrupt", lambda f: edit_config(f, r=0)),
    "a config deeper than the parser goes": ("adapter_corrupt", lambda f: (f / "adapter_config.json").write_text("[" * 200_000)),
    "alpha of 400 digits": ("adapter_corrupt", lambda f: edit_config(f, lora_alpha=10**400)),
    "a pattern that never ends": ("adapter_unsupported", lambda f: edit_config(f, rank_pattern={r"(.+)" * 8 + r"\9\8\7\6\5\4\3\3": 4})),
    "a pattern that fills the memory": ("adapter_unsupported", lambda f: edit_config(f, alpha_pattern={"x{99999999}": 4})),
    "alpha is text": ("adapter_corrupt", lambda f: edit_config(f, lora_alpha="16")),
    "modules_to_save": ("adapter_unsupported", lambda f: edit_config(f, modules_to_save=["lm_head"])),
    "DoRA": ("adapter_unsupported", lambda f: edit_config(f, use_dora=True)),
    "bias": ("adapter_unsupported", lambda f: edit_config(f, bias="all")),
    "lora_bias": ("adapter_unsupported", lambda f: edit_config(f, lora_bias=True)),
    "PiSSA": ("adapter_unsupported", lambda f: edit_config(f, init_lora_weights="pissa_niter_4")),
    "another method": ("adapter_unsupported", lambda f: edit_config(f, peft_type="IA3")),
    "a field of a newer PEFT": ("adapter_unsupported", lambda f: edit_config(f, use_something_new=True)),
    "disabled": ("adapter_disabled", lambda f: (f / "DISABLED").touch()),
}  # fmt: skip


@pytest.fixture(scope="module")
def engine(llama, tmp_path_factory):
    root = tmp_path_factory.mktemp("broken")
    shutil.copytree(llama / "base", root / "base")
    copy(llama, root, "good")
    engine = make_engine(root)
    yield engine, root
    engine.close()


def code_of(engine, name: str) -> str:
    with pytest.raises(Refusal) as refused:
        asyncio.run(engine.acquire(name))
    return refused.value.code


@pytest.mark.parametrize("what", BREAKS)
def test_broken_adapters_have_a_code(engine, llama, what):
    server, root = engine
    code, damage = BREAKS[what]
    folder = copy(llama, root, f"broken-{list(BREAKS).index(what)}")
    damage(folder)
    assert code_of(server, folder.name) == code
    assert server.tiers.device.used == sum(entry.bytes for entry in server.tiers.device.entries.values())


@pytest.mark.parametrize("name", ["../good", "a/b", "..", ".hidden", "a\\b", "", "a\0b", "x" * 300, "%2e%2e"])
def test_names_that_are_no_names(engine, name):
    assert code_of(engine[0], name) == "invalid_adapter_name"


def test_a_folder_whose_name_is_none_is_told_at_the_start(llama, tmp_path, caplog):
    for name in ("größe", "v1,2(x)", "-dash", "good"):
        copy(llama, tmp_path, name)
    assert FolderSource(tmp_path / "adapters").names() == ["good"]
    assert all(name in caplog.text for name in ("größe", "v1,2(x)", "-dash")) and "good" not in caplog.text


def test_unknown(engine):
    assert code_of(engine[0], "nobody") == "model_not_found"


def test_oversize_is_refused_before_it_is_read(engine, llama, monkeypatch):
    server, root = engine
    folder = copy(llama, root, "large")
    with (folder / "adapter_model.safetensors").open("r+b") as file:
        file.truncate(3 << 30)
    assert code_of(server, "large") == "adapter_too_large"


def published(root: Path, source: Path, base_id: str = "tiny") -> Path:
    """A folder named by its manifest's digest, as the training image publishes it."""
    files = [
        {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in sorted(source.iterdir()) if path.name != "manifest.json"
    ]  # fmt: skip
    raw = json.dumps({"format": "openledger-adapter", "base": {"id": base_id}, "files": files}).encode()
    target = root / "adapters" / hashlib.sha256(raw).hexdigest()[:32]
    shutil.copytree(source, target)
    (target / "manifest.json").write_bytes(raw)
    return target


def test_published_adapters_are_what_their_manifest_says(llama, tmp_path):
    good = published(tmp_path, llama / "adapters" / "r8-all")
    source = FolderSource(tmp_path / "adapters", "tiny")
    assert source.fetch(good.name).key == good.name
    other = FolderSource(tmp_path / "adapters", "another-base")
    with pytest.raises(Refusal, match="trained on"):
        other.fetch(good.name)
    edit_config(good, lora_alpha=3)
    with pytest.raises(Refusal) as refused:
        FolderSource(tmp_path / "adapters", "tiny").fetch(good.name)
    assert refused.value.code == "adapter_digest_mismatch"
    (good / "manifest.json").write_bytes((good / "manifest.json").read_bytes() + b" ")
    with pytest.raises(Refusal) as refused:
        FolderSource(tmp_path / "adapters", "tiny").fetch(good.name)
    assert refused.value.code == "adapter_digest_mismatch"


def test_an_adapter_whose_output_overflows_fails_alone(llama, tmp_path):
    """Finite weights, infinite activations: its request ends with a code; its neighbour and its row's heir are exact."""
    shutil.copytree(llama / "base", tmp_path / "base")
    copy(llama, tmp_path, "good")

    def blow_up(weights: dict) -> None:
        for key in weights:
            weights[key] *= 1e18

    edit_weights(copy(llama, tmp_path, "overflow"), blow_up)
    engine = make_engine(tmp_path, max_rows=2)
    prompt = [5, 6, 7, 8]

    async def run():
        return await asyncio.gather(
            *(greedy(engine, name, prompt, 20) for name in ("good", "overflow", "good", "overflow", "good")),
            return_exceptions=True,
        )

    try:
        results = asyncio.run(run())
    finally:
        engine.close()
    for index in (1, 3):
        assert isinstance(results[index], Refusal) and results[index].code == "non_finite_output"
    expected = stock(llama, "r4-all", tuple(prompt), 20)
    assert results[0] == results[2] == results[4] == expected


def test_every_site_of_the_base_can_be_a_target(llama):
    engine = make_engine(llama)
    assert len(find_sites(engine.base.model)) == 2 * 7 + 1


def test_a_wrong_base_is_not_served_as_the_base(llama, tmp_path):
    """An adapter of another architecture."""
    make_base(tmp_path / "base", "gpt2")
    make_adapter(tmp_path, "other", rank=4)
    shutil.rmtree(tmp_path / "base")
    shutil.copytree(llama / "base", tmp_path / "base")
    assert code_of(make_engine(tmp_path), "other") == "adapter_wrong_base"
