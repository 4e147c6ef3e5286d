"""Outside parts that Chronova can bring along for one machine."""
