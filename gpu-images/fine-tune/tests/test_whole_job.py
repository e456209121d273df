"""The entry point on a container folder: what it leaves, that a rerun yields the same adapter, and how it resumes."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

from safetensors.torch import load_file

from conftest import SENTENCES, row
from fine_tune import software


def manifest_of(root: Path) -> dict:
    return json.loads((root / "model/manifest.json").read_text())


def adapter_id(root: Path) -> str:
    return hashlib.sha256((root / "model/manifest.json").read_bytes()).hexdigest()[:32]


def test_a_job_leaves_a_complete_adapter_and_the_same_one_again(make_job, run_job, capsys):
    first = make_job("first", influence={"enabled": True, "checkpoints": 4, "directions": 16})
    second = make_job("second", influence={"enabled": True, "checkpoints": 4, "directions": 16}, attempt=2)
    assert run_job(first) == 0
    out = capsys.readouterr().out
    assert json.loads(out.strip().split("\n")[-1])["adapterId"] == adapter_id(first)
    steps = [line for line in out.split("\n") if line.startswith("METRIC step=") and "train_loss=" in line]
    assert len(steps) == 9 and "'" not in "".join(steps)  # 9 rows, batches of 4, 4 passes
    assert run_job(second) == 0
    assert adapter_id(first) == adapter_id(second)

    manifest = manifest_of(first)
    on_disk = {p.relative_to(first / "model").as_posix() for p in (first / "model").rglob("*") if p.is_file()}
    assert {f["name"] for f in manifest["files"]} == on_disk - {"manifest.json", "costs.json"}
    for file in manifest["files"]:
        content = (first / "model" / file["name"]).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (file["sha256"], file["bytes"])
    assert not [name for name in on_disk if name.endswith((".bin", ".pt", ".pth", ".pkl"))]
    assert str(first).encode() not in b"".join(p.read_bytes() for p in (first / "model").rglob("*") if p.is_file())
    costs = json.loads((first / "model/costs.json").read_text())
    assert 0 < costs["fitCpuSeconds"] + costs["scorecardCpuSeconds"] < costs["jobCpuSeconds"]
    assert costs["storeBytes"] == sum(p.stat().st_size for p in (first / "model/influence").iterdir())
    assert manifest["influence"]["checkpoints"] == 4 and manifest["influence"]["rows"] == 9
    assert manifest["rows"]["count"] == 9 and len(manifest["rows"]["heldOut"]) == 1
    assert manifest["datanets"][0]["trainedTokens"] > 50 and 0 <= manifest["scorecard"]["confidence"] <= 1 << 20
    made_with = manifest["software"]
    assert {name: made_with["packages"][name] for name in ("torch", "jinja2")} == {name: version(name) for name in ("torch", "jinja2")}
    assert "pytest" not in made_with["packages"]  # a developer's tool made nothing of the adapter
    lock = "".join(f"{name}=={number}\n" for name, number in made_with["packages"].items())
    assert made_with["lockDigest"] == hashlib.sha256(lock.encode()).hexdigest()
    config = json.loads((first / "model/adapter_config.json").read_text())
    assert config["target_modules"] == ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
    assert config["base_model_name_or_path"] == "tiny"


def test_what_the_image_installs_is_what_the_manifest_asks_for():
    lines = (Path(__file__).parents[1] / "requirements.txt").read_text().splitlines()
    assert {line.split("==")[0] for line in lines} == {*software.ASKED}


def test_changed_code_of_ours_shows(tmp_path, monkeypatch):
    package = tmp_path / "fine_tune"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(software, "OUR_OWN", ("fine_tune",))
    monkeypatch.setattr(software, "find_spec", lambda _: SimpleNamespace(submodule_search_locations=[str(package)]))
    digests = set()
    for name, content in (("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", "x = 2"), ("notes.txt", "not code")):
        (package / name).write_text(content)
        digests.add(software.code_digest())
    assert len(digests) == 3


def test_another_seed_or_another_row_is_another_adapter(make_job, run_job):
    roots = [make_job("a", hyperparameters={"epochs": 1}), make_job("b", hyperparameters={"epochs": 1, "seed": 6}),
             make_job("c", hyperparameters={"epochs": 1}, rows=[row(text, n) for n, text in enumerate(SENTENCES[:-1])])]
    assert [run_job(root) for root in roots] == [0, 0, 0]
    assert len({adapter_id(root) for root in roots}) == 3


def test_training_lowers_the_loss_on_what_was_trained(make_job, run_job, capsys):
    root = make_job(hyperparameters={"epochs": 40, "evalFraction": 0, "rank": 16, "alpha": 64, "learningRate": 0.03})
    assert run_job(root) == 0
    losses = [float(line.split("train_loss=")[1].split()[0]) for line in capsys.readouterr().out.split("\n") if "train_loss=" in line]
    assert sum(losses[-3:]) / 3 < 0.8 * sum(losses[:3]) / 3
    weights = load_file(root / "model/adapter_model.safetensors")
    assert any(tensor.abs().max() > 0 for name, tensor in weights.items() if ".lora_B." in name)


def start(root: Path) -> subprocess.Popen:
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "fine_tune.train"], env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_sigterm_saves_and_the_next_start_ends_at_the_same_adapter(make_job, run_job):
    long = {"epochs": 60}
    whole, broken = make_job("whole", hyperparameters=long), make_job("broken", hyperparameters=long)
    assert run_job(whole) == 0

    process = start(broken)
    for line in process.stdout:
        if line.startswith("METRIC step=5 "):
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=180)
    assert process.returncode == 143
    assert list((broken / "checkpoints").glob("checkpoint-*")) and not (broken / "model/manifest.json").exists()
    assert not (broken / "output/failure").exists()

    process = start(broken)
    out, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    first = next(line for line in out.split("\n") if line.startswith("METRIC step="))
    assert int(first.split("step=")[1].split()[0]) > 5
    assert adapter_id(broken) == adapter_id(whole)
