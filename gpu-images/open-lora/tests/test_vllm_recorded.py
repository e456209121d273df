"""VllmEngine against what a real vLLM said (recorded on its CPU build): the requests that it took, the bytes that it sent."""

from __future__ import annotations

import asyncio
import copy
import json
from functools import partial

import httpx
import pytest

from open_lora.vllm_engine import server
from vllm_recording import RECORDED, Names, Replay, conversation, engine_over, make_world

RECORDINGS = sorted(RECORDED.glob("vllm-*.json"))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("recorded"))


def replayed(world, recording: dict, monkeypatch) -> tuple[list, list]:
    """(what our engine gave, exchanges that nobody asked for)"""
    names = Names(world)
    replay = Replay(names, recording["exchanges"])
    by_path = {e["path"]: e for e in recording["exchanges"]}
    known = httpx.MockTransport(lambda request: httpx.Response(200, content="".join(by_path[request.url.path]["pieces"]).encode("latin-1")))
    with monkeypatch.context() as patch:
        patch.setattr(server.httpx, "Client", partial(httpx.Client, transport=known))
        at = server.attach("http://127.0.0.1:1")
    assert (at.base_name, at.max_model_tokens) == ("base", 192)
    return asyncio.run(conversation(engine_over(world, replay, at), names)), replay.waiting


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_we_ask_what_it_took_and_understand_what_it_said(world, path, monkeypatch):
    recording = json.loads(path.read_text())
    said, left = replayed(world, recording, monkeypatch)
    assert said == recording["said"] and left == []
    ends = [event[-1][-1] for event in said if isinstance(event, list) and isinstance(event[-1], list)]
    assert "stop" in ends and "length" in ends
    refused = [event[-1][0] for event in said if isinstance(event, list) and isinstance(event[-1], list) and isinstance(event[-1][0], str)]
    assert refused == ["adapter_unsupported", "engine_failed"]  # a rank above its limit; an adapter that it lost


def test_bytes_may_come_in_any_pieces(world, monkeypatch):
    recording = json.loads(RECORDINGS[-1].read_text())
    cut = copy.deepcopy(recording)
    for exchange in cut["exchanges"]:
        # not inside a name that stands for a digest: those are put back piece by piece
        exchange["pieces"] = [part for piece in exchange["pieces"] for part in (piece[:5], piece[5:-1], piece[-1:])]
    said, _ = replayed(world, cut, monkeypatch)
    assert said == recording["said"]


def test_a_request_that_it_never_took_shows(world, monkeypatch):
    recording = json.loads(RECORDINGS[-1].read_text())
    next(e for e in recording["exchanges"] if e["path"] == "/v1/completions")["asked"]["top_k"] = 5
    with pytest.raises(AssertionError):
        replayed(world, recording, monkeypatch)
