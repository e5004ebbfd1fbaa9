"""`python -m ascribe`."""

import sys

from ascribe.cli import main

sys.exit(main())
