"""`python -m capspawn_process`."""

import sys

from .build import main

sys.exit(main())
