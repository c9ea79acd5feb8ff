"""Has privacyIDEA's SMS provider of HTTP send messages, as its own gateway definitions say.

    python tests/doors/privacyidea_sms.py CALLS

CALLS is a list in JSON of {"options", "headers", "phone", "otp"}. Prints a list of what it says of
each: true, or the words of its error. FOLDER is where its modules are (tests/provision.sh); no
server of privacyIDEA runs, and its database is in memory.
"""

import json
import sys

from flask import Flask
from flask_babel import Babel
from privacyidea.lib.smsprovider.SMSProvider import SMSError, create_sms_instance, set_smsgateway
from privacyidea.models import db

PROVIDER = "privacyidea.lib.smsprovider.HttpSMSProvider.HttpSMSProvider"


def send(call):
    options = {"CHECK_SSL": "yes", "SEND_DATA_AS_JSON": "no"} | call["options"]
    # None of them is secret: to encrypt one takes a key file.
    set_smsgateway(
        "door",
        PROVIDER,
        options=options,
        headers=call["headers"],
        secret_options=set(),
        secret_headers=set(),
    )
    try:
        return create_sms_instance("door").submit_message(call["phone"], call["otp"])
    except SMSError as error:
        return str(error)


app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
Babel(app)
db.init_app(app)
with app.app_context():
    db.create_all()
    print(json.dumps([send(call) for call in json.loads(sys.argv[1])]))
