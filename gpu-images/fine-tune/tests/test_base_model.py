"""The committed base model is the one its card describes, and the script that made it still runs."""

import json
import math
import struct
from pathlib import Path

import pytest

from fine_tune.base import prose
from fine_tune.base.corpus import HELD_OUT, collect
from fine_tune.base.unigram import unigram_table
from fine_tune.base_model import REPOSITORY, main
from fine_tune.digest import canonical, files_digest, folder_digest

COMMITTED = REPOSITORY / "examples/base-model"


def test_the_committed_base_is_what_its_card_says(capsys):
    card = json.loads((COMMITTED / "base.json").read_text())
    assert main(["digest", str(COMMITTED)]) == 0
    assert json.loads(capsys.readouterr().out) == {"digest": card["digest"], "stated": card["digest"], "agrees": True}
    assert files_digest(card["files"]) == card["digest"]
    assert card["id"] == "openledger-docs-4m" and 3_500_000 < card["parameters"] < 4_500_000


def test_the_committed_base_writes_english_and_keeps_to_its_template():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(COMMITTED, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(COMMITTED, dtype=torch.float32, local_files_only=True)
    text = "The software is provided without warranty of any kind, and the authors are not liable for any damages."
    ids = tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        assert model(input_ids=ids, labels=ids).loss.item() < 4.5  # ln(4096) = 8.3 for a model that knows nothing
    assert len(tokenizer) == 4096 and tokenizer.decode(tokenizer(text)["input_ids"]) == text
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)
    assert chat == "<|user|>\nHi<|endoftext|>\n<|assistant|>\n"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    table = (COMMITTED / "unigram.bin").read_bytes()
    assert len(table) == 4 * 4096
    assert sum(2 ** (-bits / 65536) for bits in struct.unpack("<4096I", table)) == pytest.approx(1, abs=1e-4)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A repository with a few installed packages, one of them held out."""
    for name, file, text in (
        ("alpha", "README.md", "# Alpha\n\nAlpha keeps a list of the names that were given to it by its callers.\n\n"
                               "```js\nrun(this, code, here, is, not, prose)\n```\n"),
        ("alpha", "LICENSE", "You may copy and share this work with anybody for as long as this notice stays with it."),
        ("@openzeppelin/contracts", "A.sol", "/**\n * @dev Moves the given amount of tokens from one account to another one.\n */\n"),
        (HELD_OUT[0], "LICENSE", "This sentence stands in the example's own Datanet and must not be in the corpus."),
    ):
        folder = tmp_path / "node_modules" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    return tmp_path


def test_the_corpus_is_prose_of_packages_without_the_example_s_datanet(packages):
    found = collect(packages)
    texts = [text for _, _, text in found.documents]
    assert len(texts) == 3 and found.digest == collect(packages).digest
    assert any(text.startswith("Moves the given amount") for text in texts)
    assert not any("Datanet" in text or "run(this" in text for text in texts)


def test_the_build_runs_and_repeats(packages, tmp_path, capsys):
    results = []
    for name in ("one", "two"):
        out = tmp_path / name
        assert main(["build", "--out", str(out), "--root", str(packages), "--steps", "2", "--width", "32", "--layers", "1"]) == 0
        results.append(json.loads(capsys.readouterr().out.strip().split("\n")[-1]))
        assert json.loads((out / "base.json").read_text())["digest"] == folder_digest(out)
    assert results[0] == results[1]
    with pytest.raises(SystemExit, match="not empty"):
        main(["build", "--out", str(tmp_path / "one"), "--root", str(packages)])


def test_a_changed_file_is_noticed(packages, tmp_path, capsys):
    out = tmp_path / "base"
    main(["build", "--out", str(out), "--root", str(packages), "--steps", "1", "--width", "32", "--layers", "1"])
    (out / "config.json").write_text((out / "config.json").read_text() + " ")
    assert main(["digest", str(out)]) == 1


def test_unigram_information_is_add_one_smoothed():
    table = struct.unpack("<4I", unigram_table([0, 0, 0, 1], 4))  # counts 4, 2, 1, 1 of 8
    assert table == (1 << 16, 2 << 16, 3 << 16, 3 << 16)
    odd = struct.unpack("<3I", unigram_table([2], 3))
    assert odd[2] == math.floor(-math.log2(2 / 4) * 65536 + 0.5) and odd[0] == 2 << 16


def test_any_base_gets_its_unigram_table(base, tmp_path, capsys):
    import shutil

    folder = shutil.copytree(base, tmp_path / "base")
    (folder / "unigram.bin").unlink()
    (tmp_path / "texts.jsonl").write_text('{"text": "the owner of the licence"}\n\n{"text": "the owner"}\n')
    assert main(["unigram", str(folder), "--texts", str(tmp_path / "texts.jsonl")]) == 0
    vocabulary = json.loads(capsys.readouterr().out)["vocabulary"]
    bits = struct.unpack(f"<{vocabulary}I", (folder / "unigram.bin").read_bytes())
    assert sum(2 ** (-b / 65536) for b in bits) == pytest.approx(1, abs=1e-3) and len(set(bits)) > 1


def test_docstrings_and_comments_lose_code_and_tags():
    source = '"""Adds two numbers and returns the sum of both of them.\n\n>>> add(1, 2)\n3\n"""\n'
    assert prose.from_python(source) == ["Adds two numbers and returns the sum of both of them."]
    assert prose.from_python("def broken(:") == []
    assert prose.from_solidity("/// @notice Returns the balance of the given owner in whole units.\n") == [
        "Returns the balance of the given owner in whole units."]


def test_canonical_json_refuses_floats_and_sorts_keys():
    assert canonical({"b": [1, None], "a": "é"}) == '{"a":"é","b":[1,null]}'.encode()
    with pytest.raises(TypeError, match="no floats"):
        canonical({"a": [{"b": 0.5}]})
