"""What the WSGI servers load."""

from shop import wsgi

application = wsgi()
