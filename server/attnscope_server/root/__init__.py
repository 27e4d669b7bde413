"""The data root on disk: its lock and privacy, the captures in it, housekeeping, and the doctor."""
