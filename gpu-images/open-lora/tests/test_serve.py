"""The entry point as a process: the open server with the official client, and hosting mode over an embedded S3."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest
from test_refusals import published
from worlds import make_client, make_tokenizer, stock

from open_lora.front.gatekeeper import signature

SECRET = "a secret of the infer function"
TOKENIZER = make_tokenizer()


class Process:
    """A server process; `url` once it says that it is ready."""

    def __init__(self, *arguments: str, env: dict | None = None):
        command = [sys.executable, "-m", "open_lora.serve", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, **(env or {})}, text=True)
        self.started = time.perf_counter()
        line = self.process.stdout.readline()
        self.seconds = time.perf_counter() - self.started
        self.url = json.loads(line)["url"] if line else None

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)


@pytest.fixture(scope="module")
def server(llama):
    process = Process("--base", f"{llama}/base", "--adapters", f"{llama}/adapters", "--port", "0", "--max-batch", "4")
    yield process
    assert process.stop() == 0


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


def test_models(client, llama):
    names = [model.id for model in client.models.list()]
    assert names[0] == "base" and set(names[1:]) == {path.name for path in (llama / "adapters").iterdir()}
    assert client.models.retrieve("r4-all").id == "r4-all"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")


@pytest.mark.parametrize("model", ["r4-all", "r8-qv", "base"])
def test_completion_is_stock_peft(client, llama, model):
    ids = TOKENIZER("the quick")["input_ids"]
    reply = client.completions.create(model=model, prompt="the quick", max_tokens=20, temperature=0)
    expected = stock(llama, None if model == "base" else model, tuple(ids), 20)
    assert reply.choices[0].text == TOKENIZER.decode(expected, skip_special_tokens=True)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (len(ids), len(expected))
    assert reply.openledger["found"] in ("disk", "device", "base")


def test_a_stream_tells_the_tokens_so_far_in_every_chunk_when_asked(client):
    def chunks(**options):
        return list(client.completions.create(model="r8-all", prompt="hello", max_tokens=5, temperature=0, stream=True,
                                              stream_options={"include_usage": True, **options}))  # fmt: skip
    counts = [chunk.usage.completion_tokens for chunk in chunks(continuous_usage_stats=True)]
    assert counts == sorted(counts) and counts[0] < counts[-1] == 5  # a chunk may hold two tokens: half a character waits
    assert [chunk.usage is None for chunk in chunks()].count(False) == 1


def test_chat_uses_the_template_and_streams_the_same(client, llama):
    messages = [{"role": "user", "content": "hello 漢字"}]
    whole = client.chat.completions.create(model="r8-all", messages=messages, max_tokens=24, temperature=0)
    prompt = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = TOKENIZER(prompt, add_special_tokens=False)["input_ids"]
    expected = stock(llama, "r8-all", tuple(ids), 24)
    assert whole.choices[0].message.content == TOKENIZER.decode(expected, skip_special_tokens=True)
    stream = client.chat.completions.create(
        model="r8-all", messages=messages, max_tokens=24, temperature=0, stream=True,
        stream_options={"include_usage": True}, extra_body={"openledger": {"transcript": True}},
    )  # fmt: skip
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason
    last = chunks[-1]
    assert last.usage.completion_tokens == len(expected) and last.choices == []
    transcript = last.openledger
    assert transcript["prompt_text"] == prompt and transcript["prompt_tokens"] == ids
    assert [token["id"] for token in transcript["output_tokens"]] == expected
    assert sum(token["bytes"] for token in transcript["output_tokens"]) == len(text.encode())


def test_choices_have_transcripts_of_their_own(client):
    reply = client.completions.create(
        model="r4-all", prompt=["a", "fox"], n=2, seed=3, max_tokens=5, temperature=1.5,
        extra_body={"openledger": {"transcript": True}},
    )  # fmt: skip
    assert [choice.index for choice in reply.choices] == [0, 1, 2, 3]
    for choice, transcript in zip(reply.choices, reply.openledger["choices"], strict=True):
        assert transcript["output_text"] == choice.text
    assert reply.choices[0].text != reply.choices[1].text


def test_a_seed_gives_the_same_in_any_batch(client):
    def one(seed: int) -> str:
        return client.completions.create(model="r4-all", prompt="dog", max_tokens=12, temperature=0.9, seed=seed).choices[0].text

    alone = one(7)
    texts: list[str] = []
    threads = [threading.Thread(target=lambda i=i: texts.append(one(7 if i == 2 else 50 + i))) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert alone in texts and len(set(texts)) > 1


def test_stop_logprobs_penalties_and_bias(client, llama):
    ask = {"model": "r4-all", "prompt": "the quick", "max_tokens": 20, "temperature": 0}
    text = client.completions.create(**ask).choices[0].text
    stop = text[3:5]
    stopped = client.completions.create(**ask, stop=[stop])
    assert stopped.choices[0].text == text[: text.index(stop)] and stopped.choices[0].finish_reason == "stop"
    reply = client.completions.create(**ask, logprobs=3).choices[0].logprobs
    assert len(reply.tokens) == 20 and all(len(top) <= 3 for top in reply.top_logprobs)
    assert all(abs(max(top.values()) - own) < 1e-4 for top, own in zip(reply.top_logprobs, reply.token_logprobs, strict=True))
    chat = client.chat.completions.create(
        model="r4-all", messages=[{"role": "user", "content": "x"}], max_tokens=4, temperature=0, logprobs=True, top_logprobs=2
    )
    assert len(chat.choices[0].logprobs.content) == 4 and len(chat.choices[0].logprobs.content[0].top_logprobs) == 2
    forced = client.completions.create(**ask, logit_bias={"65": 100}).choices[0].text
    assert len(set(forced)) == 1
    varied = client.completions.create(**ask, logit_bias={"65": 100}, frequency_penalty=2, presence_penalty=2)
    assert varied.choices[0].text != text


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"model": "nobody"}, 404, "model_not_found"),
        ({"model": "../r4-all"}, 400, "invalid_adapter_name"),
        ({"model": 5}, 400, "invalid_request"),
        ({"max_tokens": -1}, 400, "invalid_request"),
        ({"max_tokens": 10**8}, 400, "context_length_exceeded"),
        ({"prompt": "dog " * 3000}, 400, "context_length_exceeded"),
        ({"prompt": []}, 400, "invalid_request"),
        ({"prompt": [999999]}, 400, "invalid_request"),
        ({"prompt": "\ud800"}, 400, "invalid_request"),
        ({"temperature": float("nan")}, 400, "invalid_request"),
        ({"temperature": -1}, 400, "invalid_request"),
        ({"top_p": 0}, 400, "invalid_request"),
        ({"n": 1000}, 400, "invalid_request"),
        ({"stop": [""]}, 400, "invalid_request"),
        ({"stream": "yes"}, 400, "invalid_request"),
        ({"tools": [{"type": "function"}]}, 400, "unsupported_parameter"),
        ({"logit_bias": {"99999": 1}}, 400, "invalid_request"),
        ({"temperature": 10**400}, 400, "invalid_request"),
        ({"logit_bias": {"5": 10**400}}, 400, "invalid_request"),
        ({"messages": [{"role": "\ud800", "content": "x"}]}, 400, "invalid_request"),
        ({"messages": [{"role": "user", "name": "\ud800", "content": "x"}]}, 400, "invalid_request"),
        ({"echo": True, "logprobs": 1}, 400, "unsupported_parameter"),
        ({"guided_choice": ["a"]}, 400, "unsupported_parameter"),
        ({"stop_token_ids": [5]}, 400, "unsupported_parameter"),
        ({"min_tokens": 2}, 400, "unsupported_parameter"),
        ({"skip_special_tokens": False}, 400, "unsupported_parameter"),
        ({"min_p": 2}, 400, "invalid_request"),
        ({"min_p": 0.5, "min_tokens": 0, "skip_special_tokens": True, "length_penalty": 1.0}, 200, None),
        ({"prompt": ["a"] * 32, "n": 9}, 400, "invalid_request"),
        ({"prompt": ["a"] * 32, "n": 8, "max_tokens": 1}, 200, None),
        ({"prompt": [5] * 185, "max_tokens": None}, 200, None),
        ({"messages": []}, 400, "invalid_request"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "invalid_request"),
    ],
)
def test_bad_requests_in_openai_form(server, change, status, code):
    body = {"model": "r4-all", "prompt": "the quick", "max_tokens": 4} | change
    reply = httpx.post(f"{server.url}/invocations", content=json.dumps(body))
    assert (reply.status_code, reply.json().get("error", {}).get("code")) == (status, code)


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000])
def test_bodies_that_are_no_objects(server, raw):
    reply = httpx.post(f"{server.url}/v1/completions", content=raw)
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_request")


def test_body_too_large_and_unknown_routes(server):
    assert httpx.post(f"{server.url}/v1/completions", content=b"x" * (9 << 20)).json()["error"]["code"] == "request_too_large"
    assert httpx.get(f"{server.url}/nowhere").json()["error"]["code"] == "not_found"
    assert httpx.get(f"{server.url}/invocations").json()["error"]["code"] == "not_found"


def test_hanging_up_frees_the_slot(server):
    def running() -> int:
        stats = httpx.get(f"{server.url}/residency").json()
        return stats["running"] + stats["prefilling"] + stats["waiting"]

    body = {"model": "r4-all", "prompt": "a", "max_tokens": 180, "temperature": 0, "ignore_eos": True}
    before = httpx.get(f"{server.url}/residency").json()["cancelled"]
    with httpx.stream("POST", f"{server.url}/v1/completions", json=body | {"stream": True}) as reply:
        next(reply.iter_lines())
    with pytest.raises(httpx.TimeoutException):
        httpx.post(f"{server.url}/v1/completions", json=body | {"n": 4}, timeout=0.05)
    deadline = time.monotonic() + 5
    while running() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert running() == 0
    assert httpx.get(f"{server.url}/residency").json()["cancelled"] >= before + 2
    assert all(row["leases"] == 0 for row in httpx.get(f"{server.url}/residency").json()["adapters"])


def test_a_stream_that_has_no_token_yet_is_cancelled_when_its_client_hangs_up(server):
    """All four rows are taken; what waits behind them is gone at once, not at its first token."""
    url, body = f"{server.url}/v1/completions", {"model": "r8-all", "prompt": "a", "max_tokens": 180, "temperature": 0, "ignore_eos": True}
    residency = lambda: httpx.get(f"{server.url}/residency").json()  # noqa: E731
    with ThreadPoolExecutor(4) as clients:
        busy = [clients.submit(httpx.post, url, json=body | {"n": 8}, timeout=60) for _ in range(2)]
        while residency()["waiting"] < 12:
            time.sleep(0.005)
        before = residency()
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as client:
            raw = json.dumps(body | {"stream": True}).encode()
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
            time.sleep(0.05)
        time.sleep(0.1)
        after = residency()
        assert after["cancelled"] == before["cancelled"] + 1 and after["waiting"] > 0
        assert all(reply.result().status_code == 200 for reply in busy)


def test_adding_and_removing_adapters(server, llama, tmp_path):
    folder = shutil.copytree(llama / "adapters" / "r4-all", tmp_path / "new")
    url, ask = f"{server.url}/adapters", {"model": "new", "prompt": "a", "max_tokens": 2}
    assert httpx.post(url, json={"name": "new", "path": str(folder)}).status_code == 201
    assert httpx.post(url, json={"name": "new", "path": str(folder)}).json()["error"]["code"] == "adapter_exists"
    assert httpx.post(f"{server.url}/v1/completions", json=ask).status_code == 200
    assert httpx.delete(f"{url}/new").json() == {"name": "new", "unloaded": True}
    refused = httpx.post(f"{server.url}/v1/completions", json=ask)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "adapter_disabled")


def test_two_names_of_one_content_are_told_apart(server, llama, tmp_path):
    folder = shutil.copytree(llama / "adapters" / "r4-all", tmp_path / "twin")
    assert httpx.post(f"{server.url}/adapters", json={"name": "twin", "path": str(folder)}).status_code == 201
    for name in ("twin", "r4-all", "twin"):
        reply = httpx.post(f"{server.url}/v1/completions", json={"model": name, "prompt": "a", "max_tokens": 1})
        assert reply.json()["openledger"]["adapter"] == name
    assert httpx.delete(f"{server.url}/adapters/twin").status_code == 200


def test_a_replica_killed_under_load_loses_no_request_that_is_retried(server, llama):
    """SIGKILL in the middle of answers; the client asks the other replica, as the router does."""
    other = Process("--base", f"{llama}/base", "--adapters", f"{llama}/adapters", "--port", "0", "--max-batch", "4")
    names, cut_off, answered = ["r4-all", "r8-qv", "r8-all", "r3-down"], [], threading.Semaphore(0)

    def ask(index: int) -> list[int]:
        body = {"model": names[index % 4], "prompt": [3, 4, 5 + index], "max_tokens": 60, "temperature": 0, "openledger": {"transcript": True}}
        for replica in (other, server):
            try:
                reply = httpx.post(f"{replica.url}/v1/completions", json=body, timeout=60).raise_for_status()
                answered.release()
                return [token["id"] for token in reply.json()["openledger"]["output_tokens"]]
            except httpx.TransportError as error:
                cut_off.append(type(error))
        return []

    with ThreadPoolExecutor(8) as clients:
        answers = [clients.submit(ask, index) for index in range(24)]
        for _ in range(6):
            answered.acquire()
        other.process.kill()
        results = [answer.result() for answer in answers]
    other.process.wait()
    assert {httpx.RemoteProtocolError, httpx.ReadError} & {*cut_off}  # some were cut off in the middle
    assert results == [stock(llama, names[index % 4], (3, 4, 5 + index), 60) for index in range(24)]


def test_metrics_say_where_adapters_were_found(server):
    text = httpx.get(f"{server.url}/metrics").text
    assert 'openlora_adapter_found_total{tier="device"}' in text and "openlora_engine_tokens_total" in text


def test_wrong_usage_exits_with_2(llama, tmp_path):
    shutil.copytree(llama / "adapters" / "r4-all", tmp_path / "base")  # the base's own name
    place = ["--base", f"{llama}/base", "--adapters", str(tmp_path)]
    for arguments in ([], ["--base", "/nonexistent", "--adapters", "/"], ["--what"], place):
        command = [sys.executable, "-m", "open_lora.serve", *arguments]
        environment = {key: value for key, value in os.environ.items() if key not in ("MODELS_URI", "BASE_ID")}
        assert subprocess.run(command, capture_output=True, env=environment, check=False, timeout=20).returncode == 2


# --- hosting ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hosting(aws, llama, tmp_path_factory):
    """(process, adapter id -> its stock name, S3 client)"""
    s3 = make_client(aws, "s3")
    s3.create_bucket(Bucket="models")
    for path in (llama / "base").iterdir():
        s3.upload_file(str(path), "models", f"bases/tiny/{path.name}")
    work, ids = tmp_path_factory.mktemp("published"), {}
    for name in ("r4-all", "r8-qv", "r8-all"):
        folder = published(work, llama / "adapters" / name)
        ids[name] = folder.name
        for path in folder.iterdir():
            s3.upload_file(str(path), "models", f"adapters/{folder.name}/{path.name}")
    arn = make_client(aws, "secretsmanager").create_secret(Name="inference", SecretString=SECRET)["ARN"]
    process = Process(env={
        **aws, "OPEN_LORA_MODE": "hosting", "MODELS_URI": "s3://models/", "BASE_ID": "tiny", "HMAC_SECRET_ARN": arn,
        "SAGEMAKER_BIND_TO_PORT": "0",
    })  # fmt: skip
    yield process, ids, s3
    assert process.stop() == 0


def signed(url: str, body: dict, *, secret=SECRET, expires: int | None = None, sign: bytes | None = None) -> httpx.Response:
    raw = json.dumps(body).encode()
    expires = int(time.time()) + 60 if expires is None else expires
    attributes = f"v1;{expires};{signature(secret.encode(), expires, sign or raw)}"
    headers = {"X-Amzn-SageMaker-Custom-Attributes": attributes, "Content-Type": "application/json"}
    return httpx.post(f"{url}/invocations", content=raw, headers=headers, timeout=30)


def test_adapters_are_pulled_by_id(hosting, llama):
    process, ids, _ = hosting
    prompt = TOKENIZER("the quick")["input_ids"]
    body = {"model": ids["r8-qv"], "prompt": "the quick", "max_tokens": 16, "temperature": 0, "openledger": {"transcript": True}}
    first, second = (signed(process.url, body).json() for _ in range(2))
    expected = stock(llama, "r8-qv", tuple(prompt), 16)
    for reply, found in ((first, "s3"), (second, "device")):
        assert reply["openledger"]["found"] == found and reply["openledger"]["adapter"] == ids["r8-qv"]
        assert [token["id"] for token in reply["openledger"]["output_tokens"]] == expected
    assert first["openledger"]["load_ms"] > second["openledger"]["load_ms"]


def test_hosting_refuses_what_is_not_signed(hosting):
    process, ids, _ = hosting
    body, now = {"model": ids["r4-all"], "prompt": "x", "max_tokens": 1}, int(time.time())
    assert signed(process.url, body).status_code == 200
    assert httpx.post(f"{process.url}/invocations", json=body).status_code == 401
    for bad in ({"secret": "other"}, {"expires": now - 1}, {"expires": now + 86_400}, {"sign": b"another body"}):
        reply = signed(process.url, body, **bad)
        assert (reply.status_code, reply.json()["error"]["code"]) == (401, "unauthorized")


def test_hosting_has_two_routes_and_no_base(hosting):
    process, ids, _ = hosting
    assert httpx.get(f"{process.url}/ping").status_code == 200
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/completions"), ("POST", "/adapters"), ("GET", "/metrics"), ("GET", "/residency"), ("DELETE", f"/adapters/{ids['r4-all']}"), ("GET", "/docs")):  # fmt: skip
        assert httpx.request(method, process.url + path).status_code == 404
    assert signed(process.url, {"model": "tiny", "prompt": "x"}).json()["error"]["code"] == "model_not_found"


def test_what_s3_holds_must_be_what_the_manifest_says(hosting, llama, tmp_path):
    process, _, s3 = hosting

    def upload(name: str, files: dict[str, bytes]) -> None:
        for file, data in files.items():
            s3.put_object(Bucket="models", Key=f"adapters/{name}/{file}", Body=data)

    def code(name: str) -> str:
        return signed(process.url, {"model": name, "prompt": "x", "max_tokens": 1}).json()["error"]["code"]

    source = llama / "adapters" / "r3-down"
    folder = published(tmp_path, source)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    upload(folder.name, files | {"adapter_model.safetensors": (llama / "adapters" / "r4-all" / "adapter_model.safetensors").read_bytes()})
    assert code(folder.name) == "adapter_digest_mismatch"
    other = published(tmp_path / "2", source, base_id="another")
    upload(other.name, {path.name: path.read_bytes() for path in other.iterdir()})
    assert code(other.name) == "adapter_wrong_base"
    upload("0" * 32, files)
    assert code("0" * 32) == "adapter_digest_mismatch"
    assert code("f" * 32) == "model_not_found"
    raw = json.dumps({"files": {"../../x": "00", "adapter_config.json": "00"}}).encode()
    upload(hashlib.sha256(raw).hexdigest()[:32], {"manifest.json": raw})
    assert code(hashlib.sha256(raw).hexdigest()[:32]) == "adapter_corrupt"


def test_sigterm_finishes_what_runs(llama):
    process = Process("--base", f"{llama}/base", "--adapters", f"{llama}/adapters", "--port", "0")
    body = {"model": "r4-all", "prompt": "a", "max_tokens": 180, "temperature": 0, "ignore_eos": True, "stream": True}
    with httpx.stream("POST", f"{process.url}/v1/completions", json=body, timeout=30) as reply:
        lines = reply.iter_lines()
        next(lines)
        process.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        data = [line for line in lines if line.startswith("data:")]
    assert data[-1] == "data: [DONE]" and json.loads(data[-2][5:])["choices"][0]["finish_reason"] == "length"
    assert process.process.wait(30) == 0
    assert not Path(f"/proc/{process.process.pid}").exists()


def test_a_client_that_reads_nothing_does_not_hold_the_drain_up(llama):
    """Three seconds for the requests and two for the connections are one deadline, not two."""
    place = ("--base", f"{llama}/base", "--adapters", f"{llama}/adapters", "--port", "0", "--drain-seconds", "3")
    process = Process(*place)
    raw = json.dumps({"model": "r4-all", "prompt": ["a"] * 4, "n": 16, "max_tokens": 180, "ignore_eos": True, "stream": True, "logprobs": 20}).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.connect(("127.0.0.1", int(process.url.rpartition(":")[2])))
        client.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
        while httpx.get(f"{process.url}/residency").json()["tokens"] < 8000:  # more than the sockets hold
            time.sleep(0.01)
        started = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        assert process.process.wait(30) == 0
    assert time.monotonic() - started < 6.5
