"""Read models: Postgres tables folded from the log, disposable, rebuilt at any time."""
