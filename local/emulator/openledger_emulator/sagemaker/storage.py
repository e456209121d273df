"""S3 as a job sees it: with the credentials of the job's own role, through the gateway, so that IAM binds it."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import boto3
from botocore.config import Config


def _as_it_is(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None


class Storage:
    """Downloads of inputs and uploads of results for one role session."""

    def __init__(self, endpoint: str, region: str, credentials: dict[str, str]):
        self._s3 = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=region,
            aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=credentials["AWS_SESSION_TOKEN"],
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 2}),
        )

    def download_prefix(self, uri: str, target: Path) -> int:
        """All objects whose key starts with the prefix, below `target`; returns how many there were."""
        bucket, prefix = split(uri)
        count = 0
        for key in self._keys(bucket, prefix):
            if key.endswith("/"):
                continue
            self._download(bucket, key, target / relative(prefix, key))
            count += 1
        return count

    def download_manifest(self, uri: str, target: Path) -> int:
        """A ManifestFile: `[{"prefix": "s3://..."}, "relative/key", ...]`."""
        bucket, key = split(uri)
        entries = json.loads(self._s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        root_bucket, root = split(entries[0]["prefix"])
        for entry in entries[1:]:
            self._download(root_bucket, root + entry, target / entry)
        return len(entries) - 1

    def upload_folder(self, folder: Path, uri: str, changing: bool = False) -> int:
        """Every file of the folder under the prefix `uri`; returns how many there were.

        `changing`: somebody writes to the folder meanwhile, so a file may be gone before its turn, and one that goes on
        growing is sent as it was when it was read: its checksum goes out before its bytes.
        """
        bucket, prefix = split(uri)
        count = 0
        for file in sorted(Path(at) / name for at, _, names in os.walk(folder) for name in names):
            key = f"{prefix.rstrip('/')}/{file.relative_to(folder).as_posix()}"
            if not changing:
                self._s3.upload_file(str(file), bucket, key)
            elif (content := _as_it_is(file)) is not None:
                self._s3.put_object(Bucket=bucket, Key=key, Body=content)
            else:
                continue
            count += 1
        return count

    def upload_archive(self, folder: Path, uri: str, scratch: Path) -> None:
        """The folder's content as one .tar.gz object."""
        with tarfile.open(scratch, "w:gz") as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, arcname=path.name)
        self.upload_file(scratch, uri)

    def upload_file(self, file: Path, uri: str) -> None:
        bucket, key = split(uri)
        self._s3.upload_file(str(file), bucket, key)

    def read(self, uri: str) -> bytes:
        bucket, key = split(uri)
        return self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def write(self, uri: str, body: bytes, content_type: str) -> None:
        bucket, key = split(uri)
        self._s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType=content_type)

    def extract_archive(self, uri: str, target: Path, scratch: Path) -> None:
        """A model.tar.gz into `target`; entries that would leave it are refused by tarfile's data filter."""
        bucket, key = split(uri)
        self._s3.download_file(bucket, key, str(scratch))
        with tarfile.open(scratch) as archive:
            archive.extractall(target, filter="data")
        scratch.unlink()

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                yield item["Key"]

    def _download(self, bucket: str, key: str, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._s3.download_file(bucket, key, str(file))


def split(uri: str) -> tuple[str, str]:
    """`s3://bucket/key` -> (bucket, key)."""
    parts = urlparse(uri)
    return parts.netloc, parts.path.lstrip("/")


def relative(prefix: str, key: str) -> str:
    """Where an object of an S3Prefix source lands: below the prefix if that is a folder, else by its file name."""
    folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
    if key.startswith(folder):
        return key[len(folder) :]
    return key[prefix.rfind("/") + 1 :]
