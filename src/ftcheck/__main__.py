"""``python -m ftcheck``: the same as ``ftcheck``, for where that is not on the PATH."""

import sys

from ftcheck.cli import main

if __name__ == "__main__":
    sys.exit(main())
