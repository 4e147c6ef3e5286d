"""``python -m chronova``."""

from chronova.cli import main

main()
