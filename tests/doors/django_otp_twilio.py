"""Has django-otp-twilio challenge phones.

    python tests/doors/django_otp_twilio.py CALLS

CALLS is a list in JSON of {"settings", "number"}. Prints a list of {"sent", "token"}: what a
challenge says, or the words of its exception, and the token that the device then takes.
"""

import json
import logging
import sys

import django
import requests
from django.conf import settings
from django.core.management import call_command
from django.test import override_settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django_otp",
        "otp_twilio",
    ],
    LOGGING_CONFIG=None,
)
django.setup()
logging.disable()
call_command("migrate", verbosity=0)

# Their models are there only now.
from django.contrib.auth.models import User
from otp_twilio.models import TwilioSMSDevice


def challenge(call):
    with override_settings(**call["settings"]):
        device = TwilioSMSDevice.objects.create(user=user, number=call["number"])
        try:
            sent = device.generate_challenge()
        except requests.HTTPError as error:
            sent = str(error)
        return {"sent": sent, "token": device.token}


user = User.objects.create_user("someone")
print(json.dumps([challenge(call) for call in json.loads(sys.argv[1])]))
