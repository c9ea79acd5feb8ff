"""django-allauth's phone verification by sms-verify: ACCOUNT_ADAPTER is this file's Adapter.

django-allauth makes the codes and checks them; sms-verify sends them, within its limits.
"""

import requests
from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse, RateLimited
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpResponse

from .models import Phone


class NotSent(RateLimited, ImmediateHttpResponse):
    """No SMS was sent. django-allauth takes it as two of its own: of a code that is sent again it
    shows that there were too many requests, and the code before stays the one that counts; a
    sign-up ends with this answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(HttpResponse(detail, status=status, content_type="text/plain"))


class Adapter(DefaultAccountAdapter):
    def send_verification_code_sms(
        self, user: AbstractBaseUser, phone: str, code: str, **kwargs: object
    ) -> None:
        message = {
            "to": phone,
            "code": code,
            "purpose": settings.SMS_VERIFY_PURPOSE,
            # The person's address, for the limits of addresses. Behind a proxy, tell
            # django-allauth so: ALLAUTH_TRUSTED_PROXY_COUNT.
            "ip": self.get_client_ip(self.request),
        }
        # No expires_in: django-allauth counts from the first code, so that one that is sent again
        # has less time than PHONE_VERIFICATION_TIMEOUT. Then the text names no minutes.
        try:
            answer = requests.post(
                f"{settings.SMS_VERIFY_URL}/v1/messages",
                json=message,
                headers={
                    "Authorization": f"Bearer {settings.SMS_VERIFY_KEY}",
                    "Accept-Language": self.request.headers.get("Accept-Language", "en"),
                },
                timeout=5,
            )
        except requests.RequestException as error:
            raise NotSent(503, "SMS cannot be sent now: try again later") from error
        if answer.status_code in (422, 429, 503):
            raise NotSent(answer.status_code, answer.json()["detail"])
        answer.raise_for_status()

    # send_unknown_account_sms and send_account_already_exists_sms are left as they are: they send
    # nothing. sms-verify sends codes alone, and such an SMS, for a number that anybody may type, is
    # one that costs and annoys. Nobody learns from the page who has an account; who has one and
    # waits for a code in vain is told so on your page: "No SMS? Perhaps you have an account."

    def set_phone(self, user: AbstractBaseUser, phone: str, verified: bool) -> None:
        Phone.objects.update_or_create(user=user, defaults={"number": phone, "verified": verified})

    def get_phone(self, user: AbstractBaseUser) -> tuple[str, bool] | None:
        phone = Phone.objects.filter(user=user).first()
        return (phone.number, phone.verified) if phone else None

    def set_phone_verified(self, user: AbstractBaseUser, phone: str) -> None:
        Phone.objects.filter(user=user, number=phone).update(verified=True)

    def get_user_by_phone(self, phone: str) -> AbstractBaseUser | None:
        # Not of somebody who has only typed it: he would keep its owner from signing up.
        found = Phone.objects.filter(number=phone, verified=True).select_related("user").first()
        return found.user if found else None
