"""Opening a local file by way of its folders, none of which may be a symbolic link.

Owns the flags: never wait for a pipe, never follow a link unless told. Reads nothing.
"""

import os
from collections.abc import Sequence

_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


def open_descriptor(folder: str, names: Sequence[str], *, follow_symlinks: bool) -> int:
    """Open the file of the path ``names`` below ``folder``, which itself may be a link; give its descriptor.

    Name by name, since a folder may have become a link after it was listed. Raises ``OSError`` for a link in
    ``names``, unless ``follow_symlinks``.
    """
    if follow_symlinks:
        return os.open(f"{folder.rstrip('/')}/{'/'.join(names)}", _FILE)
    above = os.open(folder, _FOLDER)
    try:
        for name in names[:-1]:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
            os.close(above)
            above = below
        return os.open(names[-1], _FILE | os.O_NOFOLLOW, dir_fd=above)
    finally:
        os.close(above)
