"""The register view of the Meiduo tutorial, as it stands there, reading from Redis what sms-verify writes with MEIDUO_KEYS=1:
a shop that has this view can let sms-verify send the codes and leave the view alone. Serves at LISTEN, reads REDIS_URL.

    pip install Django django-redis
    python register.py
"""

import os
from wsgiref.simple_server import make_server

from django import http
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from django.views import View
from django_redis import get_redis_connection

LISTEN = os.environ.get("LISTEN", "127.0.0.1:8000")
REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")

VERIFY_CODE = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": REDIS_URL,
    "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
}
settings.configure(ALLOWED_HOSTS=["*"], CACHES={"verify_code": VERIFY_CODE}, LOGGING_CONFIG=None, ROOT_URLCONF=__name__)


class RETCODE:
    OK = "0"
    NECESSARYPARAMERR = "4003"
    SMSCODERR = "4008"


class RegisterView(View):
    def post(self, request):
        mobile = request.POST.get('mobile')
        sms_code_client = request.POST.get('sms_code')
        if not all([mobile, sms_code_client]):
            return http.JsonResponse({'code': RETCODE.NECESSARYPARAMERR, 'errmsg': '缺少必传参数'})

        redis_conn = get_redis_connection('verify_code')
        sms_code_server = redis_conn.get('sms_%s' % mobile)
        if sms_code_server is None:
            return http.JsonResponse({'code': RETCODE.SMSCODERR, 'errmsg': '短信验证码已失效'})
        if sms_code_client != sms_code_server.decode():
            return http.JsonResponse({'code': RETCODE.SMSCODERR, 'errmsg': '短信验证码有误'})

        return http.JsonResponse({'code': RETCODE.OK, 'errmsg': 'OK'})


class SendFlagView(View):
    """What the tutorial's own view of SMS codes asks before it sends, and how long that stands (-2: it does not)."""

    def get(self, request, mobile):
        redis_conn = get_redis_connection('verify_code')
        send_flag = redis_conn.get('send_flag_%s' % mobile)
        return http.JsonResponse({'send_flag': bool(send_flag), 'ttl': redis_conn.ttl('send_flag_%s' % mobile)})


urlpatterns = [path('register/', RegisterView.as_view()), path('send_flag/<mobile>/', SendFlagView.as_view())]

if __name__ == "__main__":
    host, port = LISTEN.rsplit(":", 1)
    with make_server(host, int(port), get_wsgi_application()) as server:
        print(f"listening on http://{host}:{server.server_port}", flush=True)
        server.serve_forever()
