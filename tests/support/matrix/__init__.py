"""Every producer of captures against every consumer; the expected results are not here but in the test."""
