"""What there is to score: one row for every file found, with the reason when it's not to be scored.

Owns the two entrances (given paths, a manifest's URIs) and the order in which overlapping paths are read.
Refuses a given path that doesn't exist, can't be read or matches nothing; opens no files.

skip_reason, the first that applies: ``hidden`` (the name, or a folder below the given path, begins with
"."), ``symlink`` (unless media.follow_symlinks), ``not_a_file`` (pipe, socket, device), ``name_not_utf8``
(media_uri shows such bytes as %FF), ``excluded``, ``not_included``, ``too_young``; null: to be scored. A
folder that can't be read is one row, ``unreadable_folder``.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pyarrow as pa
from pyarrow import fs

from detector.errors import UnreadableMediaError
from detector.media.filesystem import FileAccess, build_access, is_remote, name_medium
from detector.media.globs import split_glob
from detector.media.local_listing import LocalListing
from detector.media.remote_listing import RemoteListing
from detector.media.selection import MediaRows, Selection
from detector.settings import MediaSettings

_REMOTE_REQUESTS = 32  # at a time: each waits for the network


def list_media(settings: MediaSettings, *, now: datetime, pruned: Sequence[str] = ()) -> pa.Table:
    """List everything in media.paths that is no folder, each directory entry once, ordered by media_uri.

    The columns are ``LISTING_SCHEMA``: media_uri string, size_bytes int64, modified_at timestamp[us, UTC]
    (cut, not rounded), skip_reason string. ``now`` (aware) decides media.min_age_s; ``pruned`` folders, the
    tables' own, are neither entered nor listed. A given folder is followed if it is a symbolic link, others
    only by media.follow_symlinks, and then each folder once. Of overlapping paths the deepest one tells
    which folders are "below the given path".

    Raises ``SettingsError`` that names media.paths and the path which doesn't exist, matches nothing or
    can't be read.
    """
    rows, selection = MediaRows(), Selection(settings, now)
    names = sorted({name_medium(path) for path in settings.paths}, key=_rank_by_depth)
    pruned_names = [name_medium(path) for path in pruned]
    local = LocalListing(rows, selection, settings, [name for name in pruned_names if not is_remote(name)])
    remote = RemoteListing(
        rows,
        selection,
        settings,
        build_access(settings.paths),
        [name for name in pruned_names if is_remote(name)],
    )
    for name in names:
        if is_remote(name):
            remote.list_uri(name)
        else:
            local.list_path(name)
    return rows.to_table().sort_by("media_uri")


def stat_media(
    uris: Sequence[str], settings: MediaSettings, access: FileAccess, *, now: datetime | None = None
) -> pa.Table:
    """Look up the size and time of files that a manifest names, each once, in the manifest's order.

    The columns are those of ``list_media``. A manifest has chosen its files: hidden names and
    media.include don't count, media.exclude, media.follow_symlinks and (with ``now``) media.min_age_s do. A
    file that is missing or out of reach keeps its row, size_bytes null, and is to be scored: its reader
    tells what is wrong.
    """
    rows, selection = MediaRows(), Selection(settings, now, by_include=False)
    local = LocalListing(rows, selection, settings)
    remote = RemoteListing(rows, selection, settings, access)
    names = list(dict.fromkeys(name_medium(uri, has_options=False) for uri in uris))

    def look_up(name: str) -> fs.FileInfo | None:
        try:
            filesystem, path = access.open_filesystem(name)
            return filesystem.get_file_info(path)
        except (pa.ArrowException, OSError, UnreadableMediaError):
            return None

    with ThreadPoolExecutor(_REMOTE_REQUESTS) as threads:
        found = threads.map(look_up, [name for name in names if is_remote(name)])
        for name in names:
            if is_remote(name):
                remote.add_file(name, next(found))
            else:
                local.add_file(name, name)
    return rows.to_table()


def _rank_by_depth(name: str) -> tuple[int, str]:
    return -len(split_glob(name)[0]), name
