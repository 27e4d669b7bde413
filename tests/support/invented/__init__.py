"""A kind of job that only tests know: it counts, and stores what it counts. Nothing else is registered for it."""
