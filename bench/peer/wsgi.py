"""The entry point of the WSGI servers."""

from shop import wsgi

application = wsgi()
