"""`python -m tf_hps` is `tf-hps`."""

import sys

from tf_hps.cli import main

sys.exit(main())
