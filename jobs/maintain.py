"""Maintain the tables: publish, forget, expire, compact, vacuum. --help explains every setting."""

import json
import sys
import traceback
from functools import partial

from detector.errors import DetectorError, SettingsError
from detector.redaction import make_safe
from detector.settings_sources import load_settings
from detector.tables.maintain_settings import MaintainSettings


def main(arguments: list[str]) -> int:
    """Run the job and return its exit code; what it did is the last line of standard output."""
    settings = None
    try:
        settings = load_settings(MaintainSettings, arguments)
        from detector.media.filesystem import name_medium  # after the settings: --help needs no Spark
        from detector.session import open_session
        from detector.tables.maintenance import maintain_tables
        from detector.tables.store import open_store

        spark = open_session("detector maintain", master=settings.spark.master, conf=settings.spark.conf)
        store = open_store(spark, settings.tables)
        done = maintain_tables(store, settings, name_medium, partial(print, file=sys.stderr))
    except SettingsError as error:
        print(f"refused: {make_safe(error, settings)}", file=sys.stderr)
        return 2
    except DetectorError as error:
        print(f"error: {make_safe(error, settings)}", file=sys.stderr)
        return 1
    except Exception:  # noqa: BLE001 (the last resort: everything else is exit code 1, with its trace)
        print(make_safe(traceback.format_exc(), settings), file=sys.stderr)
        return 1
    print(json.dumps(done.to_dict()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
