"""A model's signature by key, checked before anything of it is read: the OpenSSF Model Signing format.

Owns the check alone; ``model_signing sign key`` makes signatures. Works without a network.
"""

from pathlib import Path

from detector.errors import InstallationError, ModelError


def check_signature(path: Path, public_key: Path | None, signature: Path | None) -> None:
    """Check that the model at ``path`` (SavedModel folder or frozen graph) is signed; nothing without a key.

    ``public_key`` is a PEM file of an elliptic-curve key; ``signature`` by default lies beside the model,
    under its name and ``.sig``. Every file of the model must be as it was signed, none more and none less.
    Raises ``ModelError`` when it isn't, or a file is missing; ``InstallationError`` without that package.
    """
    if public_key is None:
        return
    signature = signature or path.with_name(f"{path.name}.sig")
    for file, key in ((public_key, "model.public_key"), (signature, "model.signature")):
        if not file.is_file():
            raise ModelError(f"{key} {file}: there is no such file, and an unsigned model is refused")
    try:
        from model_signing import verifying
    except ImportError as error:
        raise InstallationError(
            "model.public_key needs the package model-signing: install this project with its extra signing"
        ) from error
    try:
        verifier = verifying.Config()  # type: ignore[no-untyped-call]
        verifier.use_elliptic_key_verifier(public_key=public_key).verify(path, signature)
    except Exception as error:  # it has no error class of its own
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0][:200]
        raise ModelError(f"{path}: not as signed in {signature} by {public_key}: {reason}") from error
