"""Errors that this project raises on purpose: each says what is wrong, where, and what to do.

Owns the error classes that become exit codes (settings, model, training) and the media errors that become
failed rows. Refuses to carry file contents: messages name files and numbers only.
"""

from typing import ClassVar


class DetectorError(Exception):
    """Base of every error that this project raises on purpose."""


class SettingsError(DetectorError):
    """A setting is unknown, of the wrong type, or contradicts another: exit code 2."""


class ModelError(DetectorError):
    """A model can't be used: not found, not a detector, or damaged: exit code 2."""


class LabelMapError(SettingsError):
    """A label map can't be read: exit code 2."""


class EvaluationError(DetectorError):
    """Ground truth and detections don't fit together, or aren't boxes: exit code 2."""


class TrainingError(DetectorError):
    """Training can't go on: numbers that are none, too little memory, another run's files."""


class InstallationError(DetectorError):
    """Something beside Python packages is missing: Java, Delta's jars."""


class MediaError(DetectorError):
    """One medium can't be scored; it becomes a row with status ``failed``.

    ``permanent`` tells the plan whether the same bytes would fail again: a permanent failure isn't
    tried again until the file changes, any other is tried again by the next run.
    """

    permanent: ClassVar[bool] = True

    def __init__(self, message: str, *, width_px: int | None = None, height_px: int | None = None) -> None:
        super().__init__(message)
        self.width_px = width_px
        self.height_px = height_px

    @classmethod
    def error_class(cls) -> str:
        """Name this error in the ``error_class`` column.

        >>> EmptyMediaError.error_class()
        'EmptyMedia'
        """
        return cls.__name__.removesuffix("Error")


class EmptyMediaError(MediaError):
    """The file has no bytes."""


class NotAnImageError(MediaError):
    """The bytes are of no image format that this project decodes."""


class DamagedImageError(MediaError):
    """The bytes begin like an image and can't be decoded to the end."""


class NotAVideoError(MediaError):
    """The bytes are of no video format that this project decodes, or lead to other files."""


class NoVideoStreamError(MediaError):
    """The container holds no video stream: sound alone, a cover picture."""


class DamagedVideoError(MediaError):
    """The video can't be decoded to its end; frames before the damage may have been."""


class TooManyPixelsError(MediaError):
    """The header announces more pixels than ``media.max_pixels``; nothing was decoded."""


class MediaNotFoundError(MediaError):
    """The file was listed and is no longer there."""

    permanent = False


class UnreadableMediaError(MediaError):
    """The file can't be read: permissions, a broken disk, a network that doesn't answer."""

    permanent = False


class MediaChangedError(MediaError):
    """The file changed between listing and reading; the next run scores its new version."""

    permanent = False


class PredictionError(MediaError):
    """The model raised on this image alone, or gave values that are no boxes."""

    permanent = False


class DecoderCrashedError(MediaError):
    """A decoder crashed natively on the file, in a process of its own, twice."""


class TooMuchMemoryError(MediaError):
    """Decoding the file took more memory than ``run.decode_memory_bytes``."""


class DecoderTimedOutError(MediaError):
    """A decoder did nothing for longer than ``run.decode_timeout_s``: it hangs, or the machine does."""

    permanent = False


class UnexpectedMediaError(MediaError):
    """Reading or decoding raised something that this project did not foresee."""

    permanent = False


def list_media_errors() -> list[type[MediaError]]:
    """List every class of media error."""
    pending, found = MediaError.__subclasses__(), []
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        found.append(error)
    return found


def find_media_error(error_class: str) -> type[MediaError]:
    """Find the class that an ``error_class`` column names.

    >>> find_media_error("EmptyMedia")
    <class 'detector.errors.EmptyMediaError'>
    """
    return next(error for error in list_media_errors() if error.error_class() == error_class)
