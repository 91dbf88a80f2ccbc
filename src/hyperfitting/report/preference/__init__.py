"""What people look at of a preference study: a page that works from disk, the same in Markdown,
every table as CSV.
"""
