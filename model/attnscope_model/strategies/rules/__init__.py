"""The selection rules, one file each. A file placed here is listed, recommended and tried; no other file names it."""
