"""Report what the tables hold: tables by SQL on standard output, a page with boxes on the pictures.

python jobs/report.py --tables.root build/demo/tables --out build/demo/report.html
"""

import sys
from collections.abc import Sequence

from detector.errors import SettingsError
from detector.reports.report import ReportSettings, write_report
from detector.settings import load_settings


def main(arguments: Sequence[str]) -> int:
    """Print the answers, write the page, and return the exit code."""
    try:
        settings = load_settings(ReportSettings, arguments)
        for answer in write_report(settings):
            print(answer)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if settings.out is not None:
        print(f"page: {settings.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
