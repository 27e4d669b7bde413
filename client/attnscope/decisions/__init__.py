"""Decisions as a client reads them: the answer, its looks and its arms; nothing here rolls out or judges."""
