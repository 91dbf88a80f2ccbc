"""The report of a preference study: a page that works from disk, the same in Markdown and as
CSV.
"""
