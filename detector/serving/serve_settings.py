"""The settings of jobs/serve.py: where it listens, who may ask, how much it takes on at once.

Owns their names, defaults and explanations. Refuses an API key that stands where others can read it, and to
be open to the network without one.
"""

import ipaddress
import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator

from detector.settings import MIB, ModelSettings
from detector.settings_sources import ENVIRONMENT_PREFIX, JobSettings, Section

KEY_VARIABLE = f"{ENVIRONMENT_PREFIX}SERVE__API_KEY"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ServeSettings(Section):
    """How to serve."""

    host: str = Field("127.0.0.1", description="address to listen on; 0.0.0.0: all")
    port: int = Field(8080, ge=0, le=65535, description="0: any free one, which the first line tells")
    api_key: SecretStr | None = Field(
        None, description=f"taken from the environment alone: {KEY_VARIABLE}; see api_key_file"
    )
    api_key_file: Path | None = Field(
        None, description="file of accepted keys, one a line, # before a comment; read once, at the start"
    )
    allow_no_key: bool = Field(False, description="listen beyond this machine without any API key")
    metrics_need_key: bool = Field(False, description="/metrics asks for the key, too")
    tls_cert: Path | None = Field(None, description="PEM file of the certificate chain: HTTPS alone")
    tls_key: Path | None = Field(None, description="PEM file of its private key")
    cores: int | None = Field(None, gt=0, description="CPU cores to use (default: those this process may)")
    models: int | None = Field(
        None, gt=0, description="copies of the model at work at once (default: one a core, up to 4; a GPU: 1)"
    )
    gpu: str | None = Field(
        None, description="index or UUID of the GPU, as nvidia-smi has it (default: the CPU)"
    )
    decode_threads: int | None = Field(None, gt=0, description="default: the cores, and one")
    decode_isolated: bool = Field(
        True, description="decode in limited processes: what crashes, hangs or starves one is refused alone"
    )
    decode_timeout_s: float = Field(
        10, gt=0, description="seconds that decoding a picture may take, and one more per MB"
    )
    decode_memory_bytes: int = Field(
        2048 * MIB, gt=0, description="memory that one decoder's process may take beside the model"
    )
    batch_wait_ms: float = Field(
        2, ge=0, description="how long a picture waits for others that are being decoded to join its batch"
    )
    queue_length: int = Field(
        64, gt=0, description="pictures waiting or at work in all; more are refused with 429"
    )
    queue_bytes: int = Field(
        256 * MIB, gt=0, description="bytes of bodies, and again of decoded pixels, that may wait"
    )
    max_body_bytes: int = Field(20 * MIB, gt=0, description="larger requests are refused with 413")
    max_pictures: int = Field(32, gt=0, description="pictures in one request")
    max_pixels: int = Field(50_000_000, gt=0, description="larger pictures are refused by their header")
    max_connections: int = Field(512, gt=0, description="more are closed at once")
    receive_timeout_s: float = Field(20, gt=0, description="a request must have come in whole by then")
    timeout_s: float = Field(30, gt=0, description="an answer must be ready by then, counted from its body")
    drain_s: float = Field(
        3, ge=0, description="after SIGTERM: not ready, but still taking requests, for balancers to notice"
    )
    access_log: bool = Field(True, description="one line of JSON for each request on standard error")

    @model_validator(mode="after")
    def _keep_the_key_secret(self) -> Self:
        given = os.environ.get(KEY_VARIABLE)
        if self.api_key is not None and self.api_key.get_secret_value() != given:
            raise ValueError(
                f"serve.api_key: others read flags and files; give {KEY_VARIABLE} or serve.api_key_file"
            )
        return self

    @model_validator(mode="after")
    def _refuse_to_be_open(self) -> Self:
        has_key = self.api_key is not None or self.api_key_file is not None
        if not (has_key or self.allow_no_key or _is_loopback(self.host)):
            raise ValueError(
                f"serve.host is {self.host}, and there is no API key: give {KEY_VARIABLE} or "
                "serve.api_key_file, or set serve.allow_no_key"
            )
        return self

    @model_validator(mode="after")
    def _whole_pair(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("give serve.tls_cert and serve.tls_key, both or none")
        return self


class ServeJobSettings(JobSettings):
    """Serve a model over HTTP: Open Inference Protocol v2, TensorFlow Serving's :predict, and POST /detect.

    Each setting is a key of the YAML file (--config), an environment variable (DETECTOR_MODEL__URI for
    model.uri) or a flag below; flags win over the environment, the environment over the file. SIGTERM ends
    it in order.
    Exit codes: 0 ended by a signal, 1 unexpected error, 2 settings or model refused.
    """

    model: ModelSettings
    serve: ServeSettings = ServeSettings()


def count_cores(wanted: int | None) -> int:
    """Count the cores to use: ``wanted``, else what affinity and the container's quota leave this process."""
    if wanted is not None:
        return wanted
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(1, min(allowed, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no such file, or no quota: "max"
        return allowed
