"""Write docs/tables/ from the tables' schemas."""

import sys
from pathlib import Path

from detector.tables.pages import write_pages

if __name__ == "__main__":
    write_pages(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/tables"))
