"""Annotated pictures: check them, split them, convert them, and take pictures out of videos to annotate.

    python jobs/dataset.py check   DIR [--page report.html] [--out report.json]
    python jobs/dataset.py split   DIR --train .8 --val .1 --test .1 --out split.csv
    python jobs/dataset.py convert DIR --to coco --out DIR
    python jobs/dataset.py frames  VIDEO... --every 2s --out DIR

COMMAND --help explains every setting. Exit codes: 0 fine, 2 something would break training or a setting is
wrong, 1 anything else.
"""

import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from detector.annotations import dataset_settings as settings
from detector.annotations.clip_frames import take_frames
from detector.annotations.commands import check_folder, convert_folder, split_folder
from detector.errors import DetectorError, SettingsError
from detector.reports.dataset_page import show_check
from detector.reports.dataset_text import show_conversion, show_frames, show_split
from detector.reports.terminal import open_console, show_progress
from detector.settings_sources import load_settings

COMMANDS: Mapping[str, tuple[Any, Callable[..., Any], Callable[..., int]]] = {
    "check": (settings.CheckSettings, check_folder, show_check),
    "split": (settings.SplitSettings, split_folder, show_split),
    "convert": (settings.ConvertSettings, convert_folder, show_conversion),
    "frames": (settings.FramesSettings, take_frames, show_frames),
}


def main(arguments: Sequence[str]) -> int:
    """Run one command, print what it found, and return the exit code."""
    if not arguments or arguments[0] not in COMMANDS:
        asks = list(arguments[:1]) in (["-h"], ["--help"])
        print(__doc__, file=sys.stdout if asks else sys.stderr)
        return 0 if asks else 2
    settings_class, run, show = COMMANDS[arguments[0]]
    try:
        given = load_settings(settings_class, arguments[1:])
        with show_progress() as watch:
            found = run(given, watch)
        return show(found, open_console())
    except DetectorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, SettingsError) else 1
    except Exception:  # noqa: BLE001 (the last resort: everything else is exit code 1, with its trace)
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
