"""A site with sign-up by phone number: django-allauth makes and checks the codes, sms-verify sends
them (phones/adapter.py).

    pip install -r requirements.txt
    SMS_VERIFY_KEY=key-of-the-shop python app.py

Then sign up at http://127.0.0.1:8003/accounts/signup/

SMS_VERIFY_KEY is your key, whose hash is in API_KEYS of sms-verify; SMS_VERIFY_URL is where that
is, and LISTEN the address to serve at (port 0: any). The database lasts as long as the process.
"""

import os
import tempfile
from wsgiref.simple_server import make_server

import django
from django.conf import settings
from django.core.management import call_command
from django.core.servers.basehttp import ThreadedWSGIServer
from django.core.wsgi import get_wsgi_application

LISTEN = os.environ.get("LISTEN", "127.0.0.1:8003")
folder = tempfile.TemporaryDirectory()

settings.configure(
    SMS_VERIFY_URL=os.environ.get("SMS_VERIFY_URL", "http://127.0.0.1:8080"),
    SMS_VERIFY_KEY=os.environ["SMS_VERIFY_KEY"],
    SMS_VERIFY_PURPOSE="register",
    ACCOUNT_ADAPTER="phones.adapter.Adapter",
    ACCOUNT_LOGIN_METHODS={"phone"},
    ACCOUNT_SIGNUP_FIELDS=["phone*"],
    ACCOUNT_PHONE_VERIFICATION_SUPPORTS_RESEND=True,
    # Digits: verification templates of Aliyun and others take no letters, and django-allauth's own
    # codes are as WBPP-MJGR.
    ACCOUNT_PHONE_VERIFICATION_CODE_FORMAT={"numeric": True, "dashed": False, "length": 6},
    # sms-verify counts what a number is sent. django-allauth would refuse a second SMS within 30 s,
    # and answer a sign-up with 500 then.
    ACCOUNT_RATE_LIMITS={"verify_phone": "10/m/ip"},
    ALLOWED_HOSTS=["127.0.0.1", "localhost"],
    AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(folder.name, "db.sqlite3"),
        }
    },
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
        "allauth",
        "allauth.account",
        "phones",
    ],
    LOGGING_CONFIG=None,
    LOGIN_REDIRECT_URL="/accounts/phone/change/",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    ROOT_URLCONF="urls",
    # Of a sample that forgets everything: yours stays, and is a secret.
    SECRET_KEY=os.urandom(32).hex(),
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
)

if __name__ == "__main__":
    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)
    host, port = LISTEN.rsplit(":", 1)
    with make_server(host, int(port), get_wsgi_application(), ThreadedWSGIServer) as server:
        print(f"listening on http://{host}:{server.server_port}", flush=True)
        server.serve_forever()
