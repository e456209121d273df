"""The disk tier over S3, with the embedded S3: what is asked of the bucket, how often, and what is believed."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest
from test_oracle import greedy
from test_refusals import published
from worlds import make_client, make_engine, stock

from open_lora.adapters.s3_source import S3Bucket, S3Source
from open_lora.adapters.weights import Limits
from open_lora.refusals import Refusal


@pytest.fixture(scope="module")
def ids(aws, llama, tmp_path_factory) -> dict[str, str]:
    """stock name -> id of the published adapter in bucket `tier`, below the prefix `p`"""
    s3, work, out = make_client(aws, "s3"), tmp_path_factory.mktemp("published"), {}
    s3.create_bucket(Bucket="tier")
    for name in ("r4-all", "r8-all", "r8-qv"):
        folder = published(work, llama / "adapters" / name)
        out[name] = folder.name
        for path in folder.iterdir():
            s3.upload_file(str(path), "tier", f"p/adapters/{folder.name}/{path.name}")
    return out


@pytest.fixture
def make_source(aws, tmp_path, monkeypatch):
    """A source, and what it asked the bucket for."""
    for name, value in aws.items():
        monkeypatch.setenv(name, value)

    def make(budget: int = 1 << 30) -> tuple[S3Source, Counter]:
        bucket, asked = S3Bucket("tier", "p"), Counter()
        count = lambda params, **_: asked.update([params["url_path"].rpartition("/")[2]])  # noqa: E731
        bucket.client.meta.events.register("before-call.s3.GetObject", count)
        return S3Source(bucket, tmp_path / "cache", budget, "tiny", Limits()), asked

    return make


def test_fifty_first_requests_download_once_and_answer_as_stock_peft(ids, make_source, llama):
    source, asked = make_source()
    engine = make_engine(llama, source=source, max_rows=8)

    async def run():
        return await asyncio.gather(*(greedy(engine, ids["r8-qv"], [5, 6, 7], 6) for _ in range(50)))

    try:
        answers = asyncio.run(run())
    finally:
        engine.close()
    assert asked["adapter_model.safetensors"] == 1
    assert all(answer == stock(llama, "r8-qv", (5, 6, 7), 6) for answer in answers)
    assert dict(engine.tiers.found_total) == {"s3": 50}


def test_the_disk_keeps_to_its_budget_and_outlives_the_process(ids, make_source, tmp_path):
    source, asked = make_source()
    first = source.fetch(ids["r4-all"])
    assert first.found == "s3" and source.fetch(ids["r4-all"]).found == "disk"
    again, asked_again = make_source(budget=first.bytes * 3 // 2)  # another process over the same disk
    assert again.fetch(ids["r4-all"]).found == "disk" and not asked_again["adapter_model.safetensors"]
    assert again.fetch(ids["r8-all"]).found == "s3"
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {ids["r4-all"], ids["r8-all"]}  # the first is being read
    again.done(ids["r4-all"])
    again.done(ids["r8-all"])
    again.fetch(ids["r8-qv"])
    assert ids["r4-all"] not in {path.name for path in (tmp_path / "cache").iterdir()}
    assert not list((tmp_path / "cache").glob(".part-*"))


@pytest.mark.parametrize("damage", ["adapter_model.safetensors", "adapter_config.json", "manifest.json"])
def test_a_rotten_copy_on_disk_is_fetched_anew(ids, make_source, tmp_path, damage):
    source, asked = make_source()
    source.fetch(ids["r8-all"])
    file: Path = tmp_path / "cache" / ids["r8-all"] / damage
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)
    assert source.fetch(ids["r8-all"]).found == "s3" and asked["adapter_model.safetensors"] == 2
    assert source.fetch(ids["r8-all"]).found == "disk"


def test_a_bucket_out_of_reach_is_a_503_and_nothing_half_written(ids, make_source, tmp_path):
    source, _ = make_source()

    def fail(**_):
        raise OSError("the network is gone")

    source.bucket.client.meta.events.register("before-send.s3.GetObject", fail)
    with pytest.raises(Refusal) as refused:
        source.fetch(ids["r4-all"])
    assert (refused.value.code, refused.value.status) == ("source_unavailable", 503) and refused.value.retry_after
    assert not list((tmp_path / "cache").iterdir())


def test_a_resident_adapter_that_is_disabled_is_refused_soon(ids, make_source, llama, monkeypatch):
    monkeypatch.setattr("open_lora.adapters.s3_source.LOOK_SECONDS", 0.2, raising=False)
    source, asked = make_source()
    engine, name = make_engine(llama, source=source), ids["r4-all"]
    mark = {"Bucket": "tier", "Key": f"p/adapters/{name}/DISABLED"}

    async def found() -> str:
        await asyncio.sleep(0.21)
        lease = await engine.acquire(name)
        lease.release()
        return lease.found

    async def run():
        seen = [await found(), await found()]
        away = lambda **_: (_ for _ in ()).throw(OSError("the network is gone"))
        source.bucket.client.meta.events.register("before-send.s3.GetObject", away)
        seen.append(await found())  # an outage of S3 does not stop what is here
        source.bucket.client.meta.events.unregister("before-send.s3.GetObject", away)
        source.bucket.client.put_object(**mark, Body=b"")
        with pytest.raises(Refusal) as refused:
            await found()
        source.bucket.client.delete_object(**mark)
        monkeypatch.setattr("open_lora.adapters.tiers.REMEMBER_REFUSAL_SECONDS", 0)
        engine.tiers._refused.clear()
        return seen, refused.value.code, await found()

    try:
        assert asyncio.run(run()) == (["s3", "device", "device"], "adapter_disabled", "device")
    finally:
        engine.close()
    assert asked["adapter_model.safetensors"] == 1
