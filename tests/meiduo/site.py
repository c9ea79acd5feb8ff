"""The half of the Meiduo tutorial's site that has to do with SMS codes, as it stands there: a
Django with django-redis, whose views draw a picture, send a code and read it back from Redis.
Celery and the gateway are left out: what would be sent is in Redis.

Serves at LISTEN, reads REDIS_URL. REGISTER is a file with another `RegisterView`: the one of
docs/guide/from-meiduo.md's second step.
"""

import os
import random
import runpy
from wsgiref.simple_server import make_server

from django import http
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path
from django.views import View
from django_redis import get_redis_connection

VERIFY_CODE = {
    "BACKEND": "django_redis.cache.RedisCache",
    "LOCATION": os.environ["REDIS_URL"],
    "OPTIONS": {"CLIENT_CLASS": "django_redis.client.DefaultClient"},
}
settings.configure(
    ALLOWED_HOSTS=["*"],
    CACHES={"verify_code": VERIFY_CODE},
    LOGGING_CONFIG=None,
    ROOT_URLCONF=__name__,
)


class RETCODE:
    OK = "0"
    IMAGECODEERR = "4001"
    THROTTLINGERR = "4002"
    NECESSARYPARAMERR = "4003"
    SMSCODERR = "4008"


class ImageCodeView(View):
    def get(self, request, uuid):
        text = "".join(random.choices("ABCDEFGH", k=4))
        get_redis_connection('verify_code').setex('img_%s' % uuid, 300, text)
        return http.HttpResponse(b"drawn by the site", content_type='image/png')


class SMSCodeView(View):
    def get(self, request, mobile):
        redis_conn = get_redis_connection('verify_code')
        if redis_conn.get('send_flag_%s' % mobile):
            return http.JsonResponse({'code': RETCODE.THROTTLINGERR, 'errmsg': '发送短信过于频繁'})
        image_code_client, uuid = request.GET.get('image_code'), request.GET.get('uuid')
        if not all([image_code_client, uuid]):
            return http.JsonResponse({'code': RETCODE.NECESSARYPARAMERR, 'errmsg': '缺少必传参数'})
        image_code_server = redis_conn.get('img_%s' % uuid)
        if image_code_server is None:
            return http.JsonResponse({'code': RETCODE.IMAGECODEERR, 'errmsg': '图形验证码已失效'})
        redis_conn.delete('img_%s' % uuid)
        if image_code_client.lower() != image_code_server.decode().lower():
            return http.JsonResponse({'code': RETCODE.IMAGECODEERR, 'errmsg': '输入图形验证码有误'})
        pl = redis_conn.pipeline()
        pl.setex('sms_%s' % mobile, 300, '%06d' % random.randint(0, 999999))
        pl.setex('send_flag_%s' % mobile, 60, 1)
        pl.execute()
        return http.JsonResponse({'code': RETCODE.OK, 'errmsg': '发送短信成功'})


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


if "REGISTER" in os.environ:
    RegisterView = runpy.run_path(os.environ["REGISTER"])["RegisterView"]

urlpatterns = [
    path('image_codes/<uuid:uuid>/', ImageCodeView.as_view()),
    path('sms_codes/<mobile>/', SMSCodeView.as_view()),
    path('register/', RegisterView.as_view()),
]

if __name__ == "__main__":
    host, port = os.environ.get("LISTEN", "127.0.0.1:8000").rsplit(":", 1)
    with make_server(host, int(port), get_wsgi_application()) as server:
        print(f"listening on http://{host}:{server.server_port}", flush=True)
        server.serve_forever()
