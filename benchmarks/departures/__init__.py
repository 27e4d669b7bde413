"""From departures of an episode to cost: studied policies screened, joined with their trials, fitted."""
