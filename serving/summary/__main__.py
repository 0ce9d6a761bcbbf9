"""`python -m serving.summary IN`: see `serving.summary.summarize`."""

import sys

from serving.summary.summarize import main

if __name__ == "__main__":
    sys.exit(main())
