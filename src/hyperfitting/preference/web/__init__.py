"""The study in a browser: annotators judge, admins watch. Server-rendered; every page works without
JavaScript.
"""
