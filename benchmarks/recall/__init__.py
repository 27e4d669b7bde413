"""A policy in an environment that is not ours: POPGym's RepeatPrevious, where the memory that is needed is known."""
