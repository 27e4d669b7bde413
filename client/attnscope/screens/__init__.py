"""Screens as the laptop reads them: their store, their numbers with intervals, their table. No service, no figures."""
