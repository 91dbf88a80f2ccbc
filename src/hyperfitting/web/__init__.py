"""A small kit for local web apps: addresses, middleware, rate limits, cookies, templates, a server.

It knows nothing of the apps that use it.
"""
