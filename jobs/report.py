"""Report what the tables hold: tables by SQL, a page with boxes on the pictures, a clip of a video.

python jobs/report.py --tables.root build/demo/tables --out build/demo/report.html
python jobs/report.py --tables.root lake --clip.video walk.mkv --clip.end_s 20 --out clip.mp4
"""

import sys
import traceback
from collections.abc import Sequence

from detector.errors import InstallationError, SettingsError
from detector.redaction import make_safe
from detector.reports.report import ReportSettings, write_report
from detector.settings_sources import load_settings


def main(arguments: Sequence[str]) -> int:
    """Print the answers, write the page or clip, and return the exit code."""
    settings = None
    try:
        settings = load_settings(ReportSettings, arguments)
        for answer in write_report(settings):
            print(answer)
    except (SettingsError, InstallationError) as error:
        print(f"error: {make_safe(error, settings)}", file=sys.stderr)
        return 2
    except Exception:  # noqa: BLE001 (the last resort: everything else is exit code 1, with its trace)
        print(make_safe(traceback.format_exc(), settings), file=sys.stderr)
        return 1
    if settings.out is not None:
        print(f"written: {settings.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
