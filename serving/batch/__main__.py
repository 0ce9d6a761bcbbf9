"""`python -m serving.batch IN OUT`: see `serving.batch.job`."""

import sys

from serving.batch.job import main

if __name__ == "__main__":
    sys.exit(main())
