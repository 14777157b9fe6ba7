"""A server that speaks the HTTP protocol of the Hub, for tests. `__main__.py` says what it can do; a route is a function under `@route`."""
