"""What happened: event types, aggregates and their folds, and the log they lie in."""
