"""InvokeEndpointAsync: what is accepted gets an outcome in S3, whatever stops in between."""

from __future__ import annotations

import threading
import time

import httpx
import pytest
from botocore.exceptions import EndpointConnectionError

ARN = "arn:aws:sagemaker:us-east-1:000000000000:endpoint/later"
SOURCE = {"x-amzn-sagemaker-inputlocation": "s3://b/in"}


class World:
    """S3 as a dictionary, a container that may be away, and what it was asked."""

    def __init__(self, monkeypatch, records):
        from openledger_emulator.sagemaker import async_invocations

        self.objects, self.asked, self.up, self.s3_away = {"s3://b/in": b"question"}, [], True, False
        self.gate = threading.Event()
        self.gate.set()
        self.config = {"OutputConfig": {"S3OutputPath": "s3://b/good/", "S3FailurePath": "s3://b/bad/"}}
        self.config["ClientConfig"] = {"MaxConcurrentInvocationsPerInstance": 1}
        self._records, self._module = records, async_invocations
        real = httpx.Client
        transport = httpx.MockTransport(self._answer)
        monkeypatch.setattr(async_invocations.httpx, "Client", lambda **kind: real(transport=transport, timeout=kind["timeout"]))
        monkeypatch.setattr(async_invocations, "Storage", lambda *_: self)
        monkeypatch.setattr(async_invocations.identity, "role_session", lambda *_: {})

    def queue(self):
        return self._module.AsyncInvocations(self._records, self, self, "http://gateway")

    # As Endpoints and Models
    url = "http://container"

    def container(self, name, _):
        return "A", self if self.up else None

    def config_of(self, _):
        return {"AsyncInferenceConfig": self.config, "ProductionVariants": [{"ModelName": "m"}]}

    def arn_of(self, _):
        return ARN

    def model(self, _):
        return {"ExecutionRoleArn": "arn:aws:iam::000000000000:role/x"}

    # As Storage
    def read(self, uri):
        return self.objects[uri]

    def write(self, uri, body, _):
        if self.s3_away:
            raise EndpointConnectionError(endpoint_url="http://gateway")
        self.objects[uri] = body

    def _answer(self, request):
        self.asked.append(request.content)
        self.gate.wait(10)
        return httpx.Response(500 if b"bad" in request.content else 200, content=b"answer: " + request.content)

    def written(self, prefix):
        return [body for uri, body in self.objects.items() if uri.startswith(prefix)]


def until(probe):
    for _ in range(500):
        if probe():
            return
        time.sleep(0.01)
    raise AssertionError("nothing after 5 s")


@pytest.fixture
def records(service):
    from openledger_emulator.sagemaker.records import Records

    return Records()


@pytest.fixture
def world(monkeypatch, records):
    return World(monkeypatch, records)


def test_a_request_waits_for_its_endpoint_and_is_gone_when_it_is_answered(world, records):
    world.up = False
    status, headers, _ = world.queue().accept("later", SOURCE, b"", {})
    assert status == 202
    time.sleep(0.3)
    assert not world.asked and len(records.async_requests) == 1
    world.up = True
    until(lambda: not records.async_requests)
    assert world.objects[headers["X-Amzn-SageMaker-OutputLocation"]] == b"answer: question"


def test_what_was_accepted_survives_in_the_saved_state(world, records):
    """A kill leaves the saved state alone: the next emulator takes the request up from there."""
    from openledger_emulator.sagemaker.records import Records

    world.up = False
    _, headers, _ = world.queue().accept("later", {}, b"inline", {"Content-Type": "x"})
    saved = records.dump()
    after = Records()
    after.load(saved)
    world._records, world.up = after, True
    world.queue().resume()
    until(lambda: not after.async_requests)
    assert world.objects[headers["X-Amzn-SageMaker-OutputLocation"]] == b"answer: inline"


def test_a_request_that_never_got_its_turn_expires_by_its_own_time(world, records, monkeypatch):
    world.up = False
    queue = world.queue()
    queue.accept("later", {**SOURCE, "x-amzn-sagemaker-requestttlseconds": "60"}, b"", {})
    now = time.time()
    monkeypatch.setattr(world._module.time, "time", lambda: now + 61)
    until(lambda: not records.async_requests)
    assert world.written("s3://b/bad/") == [b"The request expired in the queue."]
    assert not world.written("s3://b/good/")


def test_a_refusal_of_the_container_is_the_failure(world, records):
    world.queue().accept("later", {}, b"bad", {})
    until(lambda: not records.async_requests)
    assert b'Received server error (500) from the model with message "answer: bad"' in world.written("s3://b/bad/")[0]


def test_while_s3_is_away_the_request_is_kept(world, records):
    world.s3_away = True
    world.queue().accept("later", SOURCE, b"", {})
    until(lambda: world.asked)
    time.sleep(0.2)
    assert len(records.async_requests) == 1
    world.s3_away = False
    until(lambda: not records.async_requests)
    assert len(world.written("s3://b/good/")) == 1


def test_one_after_the_other_where_the_configuration_says_one(world, records):
    world.gate.clear()
    queue = world.queue()
    for body in (b"1", b"2", b"3"):
        queue.accept("later", {}, body, {})
    until(lambda: world.asked)
    time.sleep(0.2)
    assert world.asked == [b"1"]
    world.gate.set()
    until(lambda: not records.async_requests)
    assert world.asked == [b"1", b"2", b"3"]


@pytest.mark.parametrize(
    ("headers", "body", "words"),
    [
        ({}, b"", "Exactly one"),
        (SOURCE, b"x", "Exactly one"),
        ({}, b"x" * 128_001, "at most 128000 bytes"),
        ({**SOURCE, "x-amzn-sagemaker-requestttlseconds": "59"}, b"", "between 60 and 21600"),
        ({**SOURCE, "x-amzn-sagemaker-filename": "mine"}, b"", "not implemented"),
    ],
)
def test_what_is_refused_leaves_nothing(world, records, headers, body, words):
    from openledger_emulator.sagemaker.faults import RuntimeInvalid

    with pytest.raises(RuntimeInvalid, match=words):
        world.queue().accept("later", headers, body, {})
    assert not records.async_requests
