"""`python -m headlight`: the command `headlight` where it is not on the PATH, as in a checkout."""

import sys

from headlight.command import main

sys.exit(main())
