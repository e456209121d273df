"""Where adapters and bases come from: a local folder or an S3 prefix (MODELS_URI), pulled into a local cache."""

import os
import shutil
from pathlib import Path
from urllib.parse import urlparse

from . import errors


class LocalSource:
    """A folder with bases/ and adapters/: used in place."""

    def __init__(self, root: Path):
        self.root = Path(root)

    def folder(self, prefix: str) -> Path:
        found = self.root / prefix
        if not found.is_dir():
            raise errors.not_found(f"there is no {prefix}")
        return found

    def release(self, prefix: str) -> None:
        """Nothing was copied, nothing to free."""


class S3Source:
    """An S3 prefix; a folder is downloaded whole, then renamed into place, so a cut download is never read."""

    def __init__(self, bucket: str, prefix: str, cache: Path, client=None):
        import boto3  # only where S3 is used

        self.bucket, self.prefix, self.cache = bucket, prefix, Path(cache)
        self.client = client or boto3.client("s3")

    def folder(self, prefix: str) -> Path:
        target = self.cache / prefix
        if target.is_dir():
            return target
        remote = f"{self.prefix}{prefix}/"
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=remote)
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
        if not keys:
            raise errors.not_found(f"there is no {prefix}")
        staging = self.cache / f"{prefix}.pulling-{os.getpid()}"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            for key in keys:
                path = (staging / key[len(remote):]).resolve()
                if key.endswith("/") or not path.is_relative_to(staging.resolve()):
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                self.client.download_file(self.bucket, key, str(path))
            os.rename(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return target

    def release(self, prefix: str) -> None:
        shutil.rmtree(self.cache / prefix, ignore_errors=True)


def source_from(uri: str, cache: Path):
    """s3://bucket/prefix/ or a local folder."""
    if not uri.startswith("s3://"):
        return LocalSource(Path(uri))
    parsed = urlparse(uri)
    prefix = parsed.path.strip("/")
    return S3Source(parsed.netloc, f"{prefix}/" if prefix else "", cache)
