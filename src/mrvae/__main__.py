"""``python -m mrvae``, so that ``accelerate launch -m mrvae`` can start several processes."""

from mrvae.cli import main

raise SystemExit(main())
