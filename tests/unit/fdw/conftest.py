"""Lets these tests import the resources and the Stripe made by hand for them (fdw_samples, fdw_fake)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
