"""A login by phone number: takes the token that a checked code was answered with, verifies it, and
says whose phone it is.

    pip install -r requirements.txt
    python app.py
    curl -s http://127.0.0.1:8001/login -H 'Content-Type: application/json' -d '{"token":"eyJ…"}'

JWKS_URL is where the public keys are, PURPOSE what the tokens have to be for, AUDIENCE the name of
your key where sms-verify has API_KEYS, LISTEN the address to serve at (port 0: any).
"""

import json
import os
import socketserver
import time
from wsgiref.simple_server import WSGIServer, make_server

import jwt
from django.conf import settings
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

JWKS_URL = os.environ.get("JWKS_URL", "http://127.0.0.1:8080/.well-known/jwks.json")
LISTEN = os.environ.get("LISTEN", "127.0.0.1:8001")
PURPOSE = os.environ.get("PURPOSE", "login")
AUDIENCE = os.environ.get("AUDIENCE")

# Used tokens are remembered in this process. Of several processes each would accept a token once:
# let them share a Redis (django.core.cache.backends.redis.RedisCache). This cache throws entries
# away early when it is full, and holds 300 by default.
LOCAL = {
    "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
    "OPTIONS": {"MAX_ENTRIES": 1_000_000},
}
settings.configure(
    ALLOWED_HOSTS=["*"], CACHES={"default": LOCAL}, LOGGING_CONFIG=None, ROOT_URLCONF=__name__
)

# Keys are kept for five minutes: that long, one that was withdrawn is still trusted. A kid that is
# not among them has them fetched again at once, so that a rotation needs no restart. Anybody can
# make kids up, so there is at most one fetch a second; the price is that a token whose key was
# published within this second may be refused.
keys = jwt.PyJWKClient(JWKS_URL, lifespan=300, cooldown_duration=1, timeout=5)

REASONS = {
    jwt.ExpiredSignatureError: "the token has expired",
    jwt.InvalidAlgorithmError: "the token's algorithm is not EdDSA",
    jwt.InvalidAudienceError: "the token was given to somebody else",
    jwt.InvalidIssuerError: "the token's claims are wrong",
    jwt.InvalidSignatureError: "the token's signature is wrong",
    jwt.MissingRequiredClaimError: "the token's claims are wrong",
    jwt.PyJWKClientError: "the token's key is unknown",
}


def refuse(status, error):
    return JsonResponse({"error": error}, status=status)


# Without Django's CSRF token: no cookie is read here, and a page of another site cannot send
# application/json before it has asked the server by a preflight request, which is not granted.
@csrf_exempt
@require_POST
def login(request):
    try:
        token = (
            json.loads(request.body)["token"]
            if request.content_type == "application/json"
            else None
        )
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str):
        return refuse(400, 'send {"token": "…"} as application/json')
    try:
        key = keys.get_signing_key_from_jwt(token)
        # The algorithm is ours to name, never the token's. A clock that is a little behind is no
        # reason to refuse: no verify_iat.
        options = {"require": ["iss", "sub", "jti", "exp"], "verify_iat": False}
        claims = jwt.decode(
            token,
            key,
            algorithms=["EdDSA"],
            issuer="sms-verify",
            audience=AUDIENCE,
            options=options,
        )
    except (jwt.PyJWKClientConnectionError, jwt.PyJWKSetError, json.JSONDecodeError):
        return refuse(503, "the keys cannot be fetched")
    except (jwt.PyJWTError, UnicodeError) as error:
        return refuse(401, REASONS.get(type(error), "this is no token"))
    if claims.get("purpose") != PURPOSE:
        return refuse(401, "the token is for another purpose")
    # Looks and writes in one step: of two requests with the same token one wins.
    if not cache.add(f"used:{claims['jti']}", True, timeout=int(claims["exp"] - time.time()) + 1):
        return refuse(401, "the token was used before")
    # Here your own code begins: find or make the account of this number, and start its session.
    return JsonResponse({"phone": claims["sub"]})


urlpatterns = [path("login", login)]


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """For a sample; a real site has gunicorn or the like."""

    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    host, port = LISTEN.rsplit(":", 1)
    with make_server(host, int(port), get_wsgi_application(), Server) as server:
        print(f"listening on http://{host}:{server.server_port}", flush=True)
        server.serve_forever()
