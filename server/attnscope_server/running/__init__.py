"""Jobs on their way to processes and back: the supervisor, the runner of local workers, the worker itself."""
