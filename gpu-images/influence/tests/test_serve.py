"""The endpoint: pulling, scoring in integers, refusals, eviction."""

import json
import shutil

import pytest
from fastapi.testclient import TestClient
from influence.errors import InfluenceError
from influence.fit import fit_store
from influence.residency import Residency
from influence.score import open_scorer
from influence.serve import create_app
from influence.sources import LocalSource, S3Source

from conftest import write_adapter


@pytest.fixture(scope="module")
def models(base_dir, rows, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    shutil.copytree(base_dir, root / "bases" / "tiny")
    for seed in (1, 2):
        folder = write_adapter(base_dir, root / "adapters" / f"adapter{seed}", seed=seed)
        fit_store(base_dir, [folder], rows, folder / "influence")
        (folder / "manifest.json").write_text(json.dumps({"scorecard": {"confidence": 524288}}))
    write_adapter(base_dir, root / "adapters" / "bare")
    return root


@pytest.fixture(scope="module")
def client(models):
    return TestClient(create_app(Residency(LocalSource(models), "tiny")))


def invoke(client, **body):
    return client.post("/invocations", content=json.dumps(body))  # escaped: half a surrogate pair is no UTF-8


def test_scores_are_signed_integers_and_the_planted_row_is_first(client, rows, models, base_dir):
    reply = invoke(client, adapter="adapter1", outputs=[{"id": "a", "prompt": "", "completion": rows[6]["text"]}]).json()
    assert reply["confidence"] == 524288 and len(reply["store_digest"]) == 64
    (entry,) = reply["scores"]
    assert entry["rows"][0][0] == rows[6]["id"] and entry["rows"][0][1] > 0 and entry["gated"] is False
    assert all(isinstance(v, int) for _, v in entry["rows"])
    assert [abs(v) for _, v in entry["rows"]] == sorted((abs(v) for _, v in entry["rows"]), reverse=True)
    folder = models / "adapters" / "adapter1"
    scorer = open_scorer(folder / "influence", base_dir, folder)
    scored = scorer.score(scorer.sequence({"id": "a", "prompt": "", "completion": rows[6]["text"]})).scores
    own = scorer.store.own  # a row's influence speaks for the part of it that is its own text
    assert own[0] == 2**20 and 0 < own[6] < 2**20 and reply["quarantined"] == []
    assert entry["rows"][0][1] == round(float(scored[6]) * 2**20) * own[6] // 2**20


def test_a_bad_output_gets_its_error_and_the_others_their_scores(client):
    outputs = [{"id": "empty", "prompt_tokens": [1], "output_tokens": []},
               {"id": "far", "prompt_tokens": [1], "output_tokens": [999999]},
               {"id": "odd", "prompt_tokens": "x", "output_tokens": [True]}, {"id": "none"}, {"id": "half", "completion": "\ud800"},
               {"id": "good", "prompt_tokens": [0], "output_tokens": [66, 67]}]
    scores = {s["id"]: s for s in invoke(client, adapter="adapter1", outputs=outputs).json()["scores"]}
    assert "rows" in scores.pop("good")
    assert {s["error"]["code"] for s in scores.values()} == {"influence.output_invalid"}


@pytest.mark.parametrize("body, status, code", [
    ({"adapter": "nobody", "outputs": [{"id": "a"}]}, 404, "influence.not_found"),
    ({"adapter": "bare", "outputs": [{"id": "a"}]}, 404, "influence.not_found"),
    ({"adapter": "../bases", "outputs": [{"id": "a"}]}, 400, "influence.request_invalid"),
    ({"adapter": "adapter1", "outputs": []}, 400, "influence.request_invalid"),
    ({"adapter": "adapter1", "outputs": [{"id": 1}]}, 400, "influence.request_invalid"),
    ({"adapter": "adapter1", "outputs": [{"id": "a"}], "method": "magic"}, 400, "influence.request_invalid"),
    ({"adapter": "adapter1", "outputs": [{"id": "a"}], "method": "dot"}, 409, "influence.store_mismatch"),
])
def test_refusals_have_codes(client, body, status, code):
    reply = client.post("/invocations", json=body)
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


def test_ping_and_a_body_that_is_not_json(client):
    assert client.get("/ping").status_code == 200
    for body in (b"{", b"\xff", b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"):
        assert client.post("/invocations", content=body).json()["error"]["code"] == "influence.request_invalid"
    assert b"influence_requests_total" in client.get("/metrics").content


def test_the_least_recently_used_adapter_is_evicted(models, rows):
    residency = Residency(LocalSource(models), "tiny", budget_bytes=1)
    app = TestClient(create_app(residency))
    for adapter in ("adapter1", "adapter2", "adapter1"):
        assert invoke(app, adapter=adapter, outputs=[{"id": "a", "completion": "beta"}]).status_code == 200
        assert residency.loaded() == [adapter]


class FakeS3:
    """list and download over a local folder; `cut` makes the download of that key fail."""

    def __init__(self, root, cut=None):
        self.root, self.cut, self.downloads = root, cut, 0

    def get_paginator(self, _name):
        return self

    def paginate(self, Bucket, Prefix):
        found = sorted(p for p in self.root.rglob("*") if p.is_file())
        keys = [str(p.relative_to(self.root)) for p in found]
        half = len(keys) // 2
        for page in (keys[:half], keys[half:]):
            yield {"Contents": [{"Key": k} for k in page if k.startswith(Prefix)]}

    def download_file(self, _bucket, key, target):
        if key == self.cut:
            raise OSError("connection lost")
        self.downloads += 1
        shutil.copy(self.root / key, target)


def test_s3_folders_are_pulled_once_and_never_half(models, tmp_path):
    source = S3Source("models", "", tmp_path / "cache", FakeS3(models, cut="adapters/adapter1/manifest.json"))
    with pytest.raises(OSError):
        source.folder("adapters/adapter1")
    assert not (tmp_path / "cache" / "adapters" / "adapter1").exists()
    source.client.cut = None
    residency = Residency(source, "tiny")
    assert residency.scorer("adapter1") is residency.scorer("adapter1")
    pulled = source.client.downloads
    source.folder("adapters/adapter1")
    assert source.client.downloads == pulled
    with pytest.raises(InfluenceError):
        source.folder("adapters/unknown")
