"""A training job's `/opt/ml`, laid out under SAGEMAKER_BASE_DIR.

Layout: docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import json
from pathlib import Path

from .storage import Storage

FAILURE_REASON_CHARACTERS = 1024


class JobDirectory:
    """`root` is what the container would see as /opt/ml."""

    def __init__(self, root: Path):
        self.root = root
        self.model = root / "model"
        self.output = root / "output"
        self.checkpoints = root / "checkpoints"
        self.config = root / "input" / "config"
        self.data = root / "input" / "data"

    def prepare(self, request: dict) -> None:
        """Create the folders and the three configuration files."""
        for folder in (self.model, self.output / "data", self.checkpoints, self.config, self.data):
            folder.mkdir(parents=True, exist_ok=True)
        channels = {channel["ChannelName"]: _channel(channel, request) for channel in request.get("InputDataConfig", [])}
        resources = request["ResourceConfig"]
        self._write("hyperparameters", request.get("HyperParameters", {}))
        self._write("inputdataconfig", channels)
        self._write(
            "resourceconfig",
            {
                "current_host": "algo-1",
                "current_instance_type": resources.get("InstanceType", "local"),
                "current_group_name": "homogeneousCluster",
                "hosts": ["algo-1"],
                "instance_groups": [
                    {
                        "instance_group_name": "homogeneousCluster",
                        "instance_type": resources.get("InstanceType", "local"),
                        "hosts": ["algo-1"],
                    }
                ],
                "network_interface_name": "lo",
            },
        )

    def download(self, request: dict, storage: Storage) -> None:
        """Fill `input/data/<channel>` and, when the job resumes, `checkpoints/`."""
        for channel in request.get("InputDataConfig", []):
            source = channel["DataSource"]["S3DataSource"]
            target = self.data / channel["ChannelName"]
            target.mkdir(parents=True, exist_ok=True)
            manifest = source["S3DataType"] == "ManifestFile"
            found = (storage.download_manifest if manifest else storage.download_prefix)(source["S3Uri"], target)
            if not found:
                raise FileNotFoundError(
                    f"No S3 objects found under S3 URL \"{source['S3Uri']}\" given in input data source. "
                    "Please ensure that the bucket exists in the selected region, that objects exist under that S3 "
                    "prefix, and that the role has permission to list and read them."
                )
        if "CheckpointConfig" in request:
            storage.download_prefix(_folder(request["CheckpointConfig"]["S3Uri"]), self.checkpoints)

    def save_checkpoints(self, request: dict, storage: Storage) -> None:
        if "CheckpointConfig" in request:
            storage.upload_folder(self.checkpoints, request["CheckpointConfig"]["S3Uri"], changing=True)

    def upload(self, request: dict, storage: Storage) -> str:
        """Publish `model/` and `output/data/`; returns S3ModelArtifacts."""
        base = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{request['TrainingJobName']}/output"
        plain = request["OutputDataConfig"].get("CompressionType") == "NONE"
        extra = any((self.output / "data").iterdir())
        if plain:
            storage.upload_folder(self.model, f"{base}/model")
            if extra:
                storage.upload_folder(self.output / "data", f"{base}/data")
            return f"{base}/model/"
        storage.upload_archive(self.model, f"{base}/model.tar.gz", self.root / "model.tar.gz")
        if extra:
            storage.upload_archive(self.output / "data", f"{base}/output.tar.gz", self.root / "output.tar.gz")
        return f"{base}/model.tar.gz"

    def failure(self) -> str:
        """What the job wrote to `output/failure`, as much as SageMaker shows of it."""
        file = self.output / "failure"
        return file.read_text(errors="replace")[:FAILURE_REASON_CHARACTERS] if file.is_file() else ""

    def _write(self, name: str, content: dict) -> None:
        (self.config / f"{name}.json").write_text(json.dumps(content))


def _channel(channel: dict, request: dict) -> dict:
    return {
        "TrainingInputMode": channel.get("InputMode", request["AlgorithmSpecification"]["TrainingInputMode"]),
        "S3DistributionType": channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
    }


def _folder(uri: str) -> str:
    return uri if uri.endswith("/") else f"{uri}/"
