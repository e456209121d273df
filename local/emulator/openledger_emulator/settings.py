"""What the emulator is told at its start, and the environment MiniStack reads at import."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "000000000000"
CONTROL_TOKEN_ENV = "OPENLEDGER_CONTROL_TOKEN"


@dataclass(frozen=True)
class Settings:
    """`state`: folder that survives a restart. `images`: folder with one sub-folder per GPU image."""

    port: int
    state: Path
    images: Path
    region: str
    auth: bool
    control_token: str

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def object_undo(self) -> Path:
        return self.state / "s3-undo"


def parse(argv: list[str]) -> Settings:
    """Settings from the command line; the control token comes by environment, never by argument."""
    parser = argparse.ArgumentParser(prog="openledger_emulator", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder for everything that survives a restart")
    parser.add_argument("--images", type=Path, required=True, help="folder of the GPU images (gpu-images/)")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--auth", action="store_true", help="enforce IAM from the first request on")
    given = parser.parse_args(argv)
    return Settings(
        port=given.port,
        state=given.state.resolve(),
        images=given.images.resolve(),
        region=given.region,
        auth=given.auth,
        control_token=os.environ.get(CONTROL_TOKEN_ENV, ""),
    )


def export(settings: Settings) -> None:
    """Set MiniStack's environment. Must run before the first `import ministack`."""
    scratch = settings.state / "tmp"
    os.environ.update(
        {
            "GATEWAY_PORT": str(settings.port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",  # queue URLs carry it: "localhost" may mean ::1, where nothing listens
            "MINISTACK_REGION": settings.region,
            "AWS_DEFAULT_REGION": settings.region,
            "AWS_REGION": settings.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL": settings.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "STATE_DIR": str(settings.state / "services"),
            "PERSIST_STATE": "1",
            "S3_DATA_DIR": str(settings.state / "s3"),
            "S3_PERSIST": "1",
            "TMPDIR": str(scratch),
            "AUTH": "true" if settings.auth else "false",
            # Nothing here may start a container or open a port that no one asked for.
            "LAMBDA_EXECUTOR": "local",
            "DOCKER_HOST": "unix:///nonexistent/docker.sock",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
    )
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        os.environ.pop(name, None)
