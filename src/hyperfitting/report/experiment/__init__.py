"""The report on one experiment: its page, tables and pictures, and what the terminal shows of
it.
"""
