"""Figures of screens: what is drawn of departures. The numbers are those of `attnscope.screens`."""
