"""The study in a browser: annotators judge, admins watch. Server-rendered pages; every page works without JavaScript."""
