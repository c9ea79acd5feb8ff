"""Whose number is which, since Django's own users have none."""

from django.conf import settings
from django.db import models


class Phone(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE)
    number = models.CharField(max_length=16)
    verified = models.BooleanField(default=False)

    class Meta:
        # A number is whose who has verified it: before, several may try.
        constraints = (
            models.UniqueConstraint(
                fields=["number"], condition=models.Q(verified=True), name="verified_once"
            ),
        )
