"""The tutorial's two steps, tuned: a Django view that throttles, writes to Redis in a pipeline and
queues, and a Celery task that calls the CCP gateway.

It is what people copy, with what costs nothing to tune put right: no middleware, connections kept,
hiredis, no result backend. Like the tutorial's, its publishes are not confirmed and its tasks are
acknowledged before they run.

Environment: REDIS_URL, QUEUE_URL, and CCP_URL (nothing: the task does nothing).
"""

import base64
import hashlib
import json
import os
import random
import time

import redis
import urllib3
from celery import Celery
from django.conf import settings
from django.http import JsonResponse
from django.urls import path

settings.configure(
    DEBUG=False,
    SECRET_KEY="not used",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    USE_TZ=True,
    LOGGING_CONFIG=None,
)

queue = Celery("shop", broker=os.environ["QUEUE_URL"])
queue.conf.update(
    task_ignore_result=True,
    task_default_queue="celery",
    worker_prefetch_multiplier=int(os.environ.get("PREFETCH", "4")),
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": os.environ.get("CONFIRM") == "1"},
)
store = redis.Redis.from_url(os.environ["REDIS_URL"])
gateway = urllib3.PoolManager(maxsize=64)


@queue.task(bind=True, name="send_sms_code", max_retries=3, retry_backoff=3)
def send_sms_code(self, mobile, code):
    """One SMS through CCP: the request of its REST interface 2013-12-26."""
    url = os.environ.get("CCP_URL")
    if not url:
        return
    now = time.strftime("%Y%m%d%H%M%S")
    signature = hashlib.md5(f"sidtoken{now}".encode()).hexdigest().upper()
    headers = {
        "Accept": "application/json",
        "Content-Type": "application/json;charset=utf-8",
        "Authorization": base64.b64encode(f"sid:{now}".encode()).decode(),
    }
    body = json.dumps({"to": mobile, "appId": "app", "templateId": "1", "datas": [code, 5]})
    try:
        answer = gateway.request(
            "POST",
            f"{url}/2013-12-26/Accounts/sid/SMS/TemplateSMS?sig={signature}",
            body=body,
            headers=headers,
        )
        if json.loads(answer.data)["statusCode"] != "000000":
            raise RuntimeError(answer.data)
    except Exception as error:
        raise self.retry(exc=error)


def sms_codes(request, mobile):
    """GET /sms_codes/{mobile}/ without the picture code."""
    if store.get(f"send_flag_{mobile}"):
        return JsonResponse({"code": 4002, "errmsg": "发送短信过于频繁"})
    code = f"{random.randint(0, 999999):06d}"
    pipeline = store.pipeline(transaction=False)
    pipeline.setex(f"sms_{mobile}", 300, code)
    pipeline.setex(f"send_flag_{mobile}", 60, 1)
    pipeline.execute()
    send_sms_code.delay(mobile, code)
    return JsonResponse({"code": 0, "errmsg": "OK"})


urlpatterns = [path("sms_codes/<mobile>/", sms_codes)]


def wsgi():
    """Made when a server asks for it: the Celery worker does not need it."""
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()
