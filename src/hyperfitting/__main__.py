"""`python -m hyperfitting` is `hyperfit`."""

from hyperfitting.cli import main

raise SystemExit(main())
