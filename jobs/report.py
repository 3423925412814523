"""Report what the tables hold: tables by SQL, a page with boxes on the pictures, a clip of a video.

python jobs/report.py --tables.root build/demo/tables --out build/demo/report.html
python jobs/report.py --tables.root lake --clip.video walk.mkv --clip.end_s 20 --out clip.mp4
"""

import sys
from collections.abc import Sequence

from detector.errors import InstallationError, SettingsError
from detector.reports.report import ReportSettings, write_report
from detector.settings import load_settings


def main(arguments: Sequence[str]) -> int:
    """Print the answers, write the page or clip, and return the exit code."""
    try:
        settings = load_settings(ReportSettings, arguments)
        for answer in write_report(settings):
            print(answer)
    except (SettingsError, InstallationError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if settings.out is not None:
        print(f"written: {settings.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
