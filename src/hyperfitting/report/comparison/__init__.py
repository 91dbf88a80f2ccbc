"""The report on experiments side by side."""
