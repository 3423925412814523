"""Install what Python packages don't bring: ``python -m detector.installation``.

Owns the command line of set-up. Refuses nothing by itself: the two modules beside it do.
"""

import argparse
import sys
from pathlib import Path

from detector.errors import InstallationError
from detector.installation.jars import (
    LOCK_PATH,
    MAVEN_CENTRAL,
    find_cache,
    find_spark_jars,
    install_jars,
    read_lock,
)
from detector.installation.java import install_java


def main() -> int:
    """Install Java and Delta's jars where they are missing, and say what is used; 1 when it can't be done."""
    parser = argparse.ArgumentParser(prog="python -m detector.installation", description=main.__doc__)
    parser.add_argument("--repository", default=MAVEN_CENTRAL, help="Maven repository of the jars: URL")
    parser.add_argument("--cache", type=Path, default=find_cache(), help="folder that keeps the jars")
    flags = parser.parse_args()
    try:
        java = install_java()
        folder = find_spark_jars()
        jars = read_lock(LOCK_PATH)
        install_jars(jars, folder, cache=flags.cache, repository=flags.repository)
    except InstallationError as error:
        sys.stderr.write(f"set-up: {error}\n")
        return 1
    sys.stdout.write(f"Java:  {java}\nDelta: {', '.join(jar.file_name for jar in jars)} in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
