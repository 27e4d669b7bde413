"""Figures of captures, drawn on the laptop with matplotlib."""
