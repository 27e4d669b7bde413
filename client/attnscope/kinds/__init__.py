"""The client's view of each kind of job, one file a kind; what opens and draws a store lives in its own room."""
