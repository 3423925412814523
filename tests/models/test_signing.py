"""Signed models: any change after the signature, or none at all, is refused before anything is read."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from detector.errors import ModelError
from detector.models.signing import check_signature
from detector.scoring.scorer import load_scorer
from detector.settings import ModelSettings

DEMO_MODEL = Path(__file__).resolve().parents[2] / "conf" / "demo" / "saved_model"


def write_keys(folder, name):
    """Write a pair of keys; give the paths of the private and the public one."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """Give a folder with the demo's model, signed by the tool that the README names, and its keys."""
    folder = tmp_path_factory.mktemp("signed")
    private, _ = write_keys(folder, "maker")
    shutil.copytree(DEMO_MODEL, folder / "shapes")
    subprocess.run(
        [
            *(
                str(Path(sys.executable).with_name("model_signing")),
                "sign",
                "key",
                folder / "shapes",
            ),
            *("--private_key", private, "--signature", folder / "shapes.sig"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


def test_a_signed_model_is_taken(signed):
    """By the whole way that a job goes."""
    load_scorer(ModelSettings(uri=str(signed / "shapes"), public_key=signed / "maker.pub.pem"))


def test_another_s_key_is_refused(signed, tmp_path):
    """The model is as signed, but not by this key."""
    _, public = write_keys(tmp_path, "stranger")
    with pytest.raises(ModelError, match="not as signed"):
        load_scorer(ModelSettings(uri=str(signed / "shapes"), public_key=public))


@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_a_changed_model_is_refused(signed, tmp_path, change):
    """A byte, a file more, a file less."""
    shutil.copytree(signed / "shapes", tmp_path / "shapes")
    shutil.copy(signed / "shapes.sig", tmp_path)
    graph = tmp_path / "shapes" / "saved_model.pb"
    if change == "changed":
        graph.write_bytes(graph.read_bytes() + b"\0")
    elif change == "added":
        (tmp_path / "shapes" / "more").touch()
    else:
        next((tmp_path / "shapes" / "variables").iterdir()).unlink()
    with pytest.raises(ModelError, match="not as signed"):
        check_signature(tmp_path / "shapes", signed / "maker.pub.pem", None)


def test_an_unsigned_model_is_refused(signed, tmp_path):
    """With a key set, a signature must be there."""
    shutil.copytree(signed / "shapes", tmp_path / "shapes")
    with pytest.raises(ModelError, match=r"model\.signature .*shapes\.sig: there is no such file"):
        check_signature(tmp_path / "shapes", signed / "maker.pub.pem", None)


def test_without_a_key_nothing_is_asked(signed):
    """The default."""
    check_signature(signed / "nothing here", None, None)
