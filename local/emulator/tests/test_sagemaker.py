"""SageMaker's rules that need no process: validation, images, S3 names, event streams."""

from __future__ import annotations

import json

import pytest
from botocore.eventstream import EventStreamBuffer
from openledger_emulator.sagemaker import event_stream, images, storage, validation
from openledger_emulator.sagemaker.faults import Fault, Invalid
from openledger_emulator.sagemaker.job_directory import JobDirectory
from openledger_emulator.sagemaker.training import _check

JOB = {
    "TrainingJobName": "trn-1",
    "RoleArn": "arn:aws:iam::000000000000:role/job",
    "AlgorithmSpecification": {"TrainingImage": "x/echo:1", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    "InputDataConfig": [
        {"ChannelName": "rows", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/rows/"}}}
    ],
}


def test_a_sound_request_passes():
    validation.check("CreateTrainingJob", JOB)
    _check(JOB)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"TrainingJobName": "no spaces"}, "regular expression pattern"),
        ({"TrainingJobName": "x" * 64}, "length less than or equal to 63"),
        ({"Unknown": 1}, "Unknown parameter"),
        ({"RoleArn": None}, "Invalid type"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "at least 1|greater than or equal to 1|valid min value: 1"),
        ({"ResourceConfig": {**JOB["ResourceConfig"], "InstanceType": "laptop"}}, "enum value set"),
        ({"HyperParameters": {"k": "v" * 2501}}, "length less than or equal to 2500"),
    ],
)
def test_what_the_service_model_forbids(change, words):
    with pytest.raises(Invalid, match=words):
        validation.check("CreateTrainingJob", {**JOB, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds is required"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 1}}, "equal to or greater"),
        ({"InputDataConfig": JOB["InputDataConfig"] * 2}, "must be unique"),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File"}}, "exactly one of"),
    ],
)
def test_rules_between_members(change, words):
    with pytest.raises(Invalid, match=words):
        _check({**JOB, **change})


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("000000000000.dkr.ecr.us-east-1.amazonaws.com/openledger/fine-tune:local", "fine-tune"),
        ("registry:5000/open-lora@sha256:00", "open-lora"),
        ("echo", "echo"),
    ],
)
def test_the_repository_of_an_image(uri, name):
    assert images.repository(uri) == name


def test_an_image_needs_a_folder_and_an_exec_form_entry_point(tmp_path):
    with pytest.raises(images.ImageNotFound, match="no nothing/Dockerfile"):
        images.find(tmp_path, "x/nothing:1")
    (tmp_path / "shell").mkdir()
    (tmp_path / "shell" / "Dockerfile").write_text("FROM x\nENTRYPOINT python -m a\n")
    with pytest.raises(images.ImageNotFound, match="JSON form"):
        images.find(tmp_path, "x/shell:1")
    with pytest.raises(images.ImageNotFound):
        images.find(tmp_path, "x/..:1")
    text = 'FROM x\nENV A=1 B="two words" \\\n  P=/opt/x\nENTRYPOINT ["python", \\\n "-m", "a"]\n'
    (tmp_path / "shell" / "Dockerfile").write_text(text)
    found = images.find(tmp_path, "x/shell:1")
    assert found.command == ("python", "-m", "a")
    assert found.environment == {"PYTHONPATH": str(tmp_path / "shell" / "src"), "A": "1", "B": "two words"}


@pytest.mark.parametrize(
    ("prefix", "key", "where"),
    [
        ("rows/", "rows/a/1.jsonl", "a/1.jsonl"),
        ("rows", "rows/a/1.jsonl", "a/1.jsonl"),
        ("rows/one.jsonl", "rows/one.jsonl", "one.jsonl"),
        ("rows/on", "rows/one.jsonl", "one.jsonl"),
        ("", "a/b", "a/b"),
    ],
)
def test_where_objects_of_a_prefix_land(prefix, key, where):
    assert storage.relative(prefix, key) == where


def test_a_failure_is_cut_to_what_sagemaker_shows(tmp_path):
    folder = JobDirectory(tmp_path)
    folder.prepare(JOB)
    (tmp_path / "output" / "failure").write_text("x" * 5000)
    assert folder.failure() == "x" * 1024
    config = json.loads((tmp_path / "input" / "config" / "inputdataconfig.json").read_text())
    assert config["rows"]["TrainingInputMode"] == "File"


def test_event_stream_frames_are_read_by_botocore():
    buffer = EventStreamBuffer()
    buffer.add_data(event_stream.payload_part(b"abc") + event_stream.model_stream_error("StreamBroken", "gone"))
    part, error = list(buffer)
    assert (part.headers[":event-type"], part.payload) == ("PayloadPart", b"abc")
    assert error.headers[":exception-type"] == "ModelStreamError"
    assert json.loads(error.payload) == {"Message": "gone", "ErrorCode": "StreamBroken"}


def test_faults_carry_their_fields():
    from openledger_emulator.sagemaker.faults import ModelFailed, answer

    status, headers, body = answer(ModelFailed("no", OriginalStatusCode=429))
    assert (status, headers["x-amzn-errortype"]) == (424, "ModelError")
    assert json.loads(body)["OriginalStatusCode"] == 429
    assert issubclass(ModelFailed, Fault)
