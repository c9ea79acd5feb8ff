"""The demo page and the inbox in a real browser: Debian's Chromium, driven by Playwright, against
the program itself.

    tests/browser.py PROGRAM [FOLDER]

With a FOLDER, the screenshots of the documents are written into it.

Each check starts a process of its own, on a free port, on the embedded parts.
"""

import contextlib
import http.client
import http.server
import os
import re
import subprocess
import sys
import threading
import time
import unicodedata

from playwright.sync_api import expect, sync_playwright

PROGRAM, FOLDER = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else None)
CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@contextlib.contextmanager
def served(**variables):
    """The program, and the address that it serves at."""
    environment = {"LISTEN": "127.0.0.1:0", "LOG_LEVEL": "warn", **variables}
    process = subprocess.Popen([PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        while "/inbox\n" not in said:
            line = process.stdout.readline()
            assert line, f"it ended: {said}"
            said += line
        yield re.search(r"page +(http://\S+)/", said)[1]
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def elsewhere():
    """A page of another origin, which has none of our policies."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextlib.contextmanager
def below(prefix, server):
    """A proxy that has a server below a path, and takes the path away."""

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            host = server.removeprefix("http://")
            headers = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in ("host", "connection")
            }
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = http.client.HTTPConnection(host)
            connection.request(self.command, self.path.removeprefix(prefix), body, headers)
            answer = connection.getresponse()
            read = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in (
                    "date",
                    "connection",
                    "transfer-encoding",
                    "content-length",
                ):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(read)))
            self.end_headers()
            self.wfile.write(read)

        do_GET = do_POST = forward

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{proxy.server_port}{prefix}"
        proxy.shutdown()


class Page:
    """The page as a person sees it."""

    def __init__(self, browser, base, language="en-GB", **options):
        self.base = base
        self.context = browser.new_context(
            locale=language, viewport={"width": 720, "height": 560}, **options
        )
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.is_ours(request.url))
        self.page.goto(f"{base}/")

    def is_ours(self, url):
        if not url.startswith((self.base, "data:")):
            self.errors.append(f"asked another host: {url}")

    def ask(self, number="13800138000"):
        self.page.get_by_label(re.compile("Mobile number|手机号|手機號碼")).fill(number)
        self.page.locator("#send").click()

    def code(self):
        """The latest code in the inbox."""
        for _ in range(100):
            if messages := self.page.request.get(f"{self.base}/inbox.json").json():
                return messages[0]["code"]
            time.sleep(0.05)
        raise AssertionError("no SMS")

    def wrong(self):
        code = self.code()
        return f"{(int(code[0]) + 1) % 10}{code[1:]}"

    def shot(self, name):
        if FOLDER:
            self.page.screenshot(path=f"{FOLDER}/{name}.png")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.context.close()
        if kind is None:
            assert not self.errors, self.errors


def written(value, like):
    """A digit in the script of another one."""
    return chr(ord(like) - unicodedata.digit(like) + value)


@check
def a_number_is_verified(browser):
    with served() as base, Page(browser, base) as seen:
        page = seen.page
        expect(page.locator("#to")).to_be_focused()
        page.keyboard.type("13800138000")
        expect(page.locator("#to")).to_have_value("138 0013 8000")
        page.keyboard.press("Enter")
        expect(page.locator("#code")).to_be_focused()
        expect(page.get_by_label("The 6 digits sent to +86*******8000")).to_be_visible()
        expect(page.get_by_role("status")).to_have_text("Your SMS was sent.")
        expect(page.locator("#send")).to_have_text(re.compile("Send again in [456]. s"))
        code = seen.code()
        page.keyboard.type(code[:3])
        seen.shot("page")
        page.keyboard.type(code[3:])
        expect(page.get_by_role("heading", name="Your number is verified")).to_be_visible()
        expect(page.locator("#verified")).to_have_text("+86*******8000")


@check
def in_chinese_too(browser):
    with served() as base, Page(browser, base, "zh-CN") as seen:
        page = seen.page
        expect(page.get_by_role("heading", name="验证手机号")).to_be_visible()
        seen.ask("12345")
        expect(page.locator("#ask-error")).to_have_text("请输入正确的手机号")
        seen.ask()
        seen.page.locator("#code").fill(seen.wrong())
        expect(page.locator("#prove-error")).to_have_text("短信验证码有误，还可尝试 4 次")
        seen.shot("page-chinese")
        page.get_by_role("button", name="English").click()
        expect(page.get_by_role("heading", name="Verify your number")).to_be_visible()
        page.locator("#code").fill(seen.code())
        expect(page.get_by_role("heading", name="Your number is verified")).to_be_visible()


@check
def a_countdown_survives_a_reload(browser):
    with served(RESEND_INTERVAL="3") as base, Page(browser, base) as seen:
        seen.ask()
        expect(seen.page.locator("#code")).to_be_focused()
        seen.page.reload()
        expect(seen.page.locator("#send")).to_be_disabled()
        expect(seen.page.locator("#send")).to_have_text(re.compile("Send again in [123] s"))
        expect(seen.page.locator("#to")).to_have_value("138 0013 8000")
        seen.page.locator("#send:enabled").click()
        expect(seen.page.locator("#send")).to_be_disabled()
        seen.page.locator("#code").fill(seen.code())
        expect(seen.page.get_by_role("heading", name="Your number is verified")).to_be_visible()


@check
def who_asks_too_often_is_told_how_long(browser):
    with served() as base, Page(browser, base) as one, Page(browser, base) as other:
        one.ask()
        expect(one.page.locator("#code")).to_be_focused()
        other.ask()
        expect(other.page.locator("#ask-error")).to_have_text(
            re.compile("A code was sent a moment ago. Another in [456]. seconds.")
        )
        expect(other.page.locator("#send")).to_be_disabled()


@check
def wrong_codes_are_counted(browser):
    with served() as base, Page(browser, base) as seen:
        seen.ask()
        for left in (4, 3, 2, 1, 0):
            seen.page.locator("#code").fill(seen.wrong())
            expect(seen.page.locator("#prove-error")).to_have_text(
                f"That code is wrong. Tries left: {left}." if left else ""
            )
            expect(seen.page.locator("#code")).to_have_value("")
        locked = re.compile(r"Too many wrong codes: this number is locked until \d?\d:\d\d")
        for _ in range(2):
            expect(seen.page.locator("#locked")).to_have_text(locked)
            expect(seen.page.locator("#code")).to_be_disabled()
            seen.page.reload()
        for name, words in (("简体中文", "锁定至"), ("繁體中文", "鎖定至")):
            seen.page.get_by_role("button", name=name).click()
            expect(seen.page.locator("#locked")).to_have_text(re.compile(words))
        # Whoever else has this verification is told by its status.
        seen.page.evaluate("""() => {
            const { locked, ...rest } = JSON.parse(sessionStorage.getItem("sms-verify"));
            sessionStorage.setItem("sms-verify", JSON.stringify(rest));
        }""")
        seen.page.reload()
        expect(seen.page.locator("#code")).to_be_disabled()


@check
def who_asks_for_a_locked_number_is_told_until_when(browser):
    with served() as base, Page(browser, base) as seen, Page(browser, base, "zh-TW") as other:
        seen.ask()
        for left in (4, 3, 2, 1, 0):
            seen.page.locator("#code").fill(seen.wrong())
            expect(seen.page.locator("#code")).to_have_value("")
            expect(seen.page.locator("#prove-error")).to_have_text(
                re.compile(f"Tries left: {left}") if left else ""
            )
        expect(other.page.get_by_role("heading", name="驗證手機號碼")).to_be_visible()
        other.ask()
        expect(other.page.locator("#locked")).to_have_text(re.compile("該號碼已鎖定至"))
        other.ask("13800138001")
        expect(other.page.locator("#code")).to_be_focused()
        expect(other.page.locator("#locked")).to_have_text("")


@check
def an_expired_code_is_told(browser):
    with served(CODE_TTL="2", RESEND_INTERVAL="1") as base, Page(browser, base) as seen:
        seen.ask()
        expect(seen.page.locator("#prove-error")).to_have_text(
            "This code is no longer valid. Please ask for a new one."
        )
        expect(seen.page.locator("#send")).to_have_text("Send code")


@check
def a_server_that_is_away_loses_nothing(browser):
    with served() as base, Page(browser, base) as seen:
        seen.context.set_offline(True)
        seen.ask()
        expect(seen.page.locator("#ask-error")).to_have_text(
            "The server cannot be reached. Are you online?"
        )
        seen.context.set_offline(False)
        seen.page.locator("#send").click()
        expect(seen.page.locator("#code")).to_be_focused()
        expect(seen.page.locator("#ask-error")).to_have_text("")


@check
def a_narrow_screen_shows_all_of_it(browser):
    with served() as base, Page(browser, base, "en-GB", color_scheme="dark") as seen:
        seen.page.set_viewport_size({"width": 320, "height": 640})
        seen.ask()
        expect(seen.page.locator("#code")).to_be_focused()
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 320
        for locator in seen.page.locator("#digits span, #send, #to").all():
            box = locator.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= 320, box
        seen.page.locator("#code").fill(seen.code()[:4])
        seen.shot("page-narrow")


@check
def a_pasted_code_is_taken(browser):
    with (
        served() as base,
        Page(browser, base, permissions=["clipboard-read", "clipboard-write"]) as seen,
    ):
        seen.ask()
        expect(seen.page.locator("#code")).to_be_focused()
        inbox = seen.context.new_page()
        inbox.goto(f"{base}/inbox")
        expect(inbox.locator(".bubble")).to_have_text(re.compile(seen.code()))
        if FOLDER:
            inbox.set_viewport_size({"width": 720, "height": 400})
            inbox.screenshot(path=f"{FOLDER}/inbox.png")
        inbox.get_by_role("button", name="Copy code").click()
        expect(inbox.get_by_role("button", name="Copied")).to_be_visible()
        seen.page.bring_to_front()
        seen.page.keyboard.press("Control+V")
        expect(seen.page.get_by_role("heading", name="Your number is verified")).to_be_visible()


@check
def work_is_done_unseen(browser):
    with served(CHALLENGE="pow://default?when=always") as base, Page(browser, base) as seen:
        began = time.monotonic()
        seen.ask()
        expect(seen.page.locator("#code")).to_be_focused(timeout=30_000)
        print(f"    a proof of work: {time.monotonic() - began:.1f} s")


@check
def a_picture_has_to_be_read(browser):
    with served(CHALLENGE="picture://default?when=always") as base, Page(browser, base) as seen:
        seen.ask()
        expect(seen.page.locator("#ask-error")).to_have_text(
            "Please type the characters in the picture first."
        )
        expect(seen.page.get_by_label("Characters in the picture")).to_be_focused()
        assert (
            seen.page.locator("#image").evaluate(
                "image => image.decode().then(() => image.naturalWidth)"
            )
            == 220
        )
        seen.page.keyboard.type("0000")
        seen.page.keyboard.press("Enter")
        expect(seen.page.locator("#ask-error")).to_have_text(
            "Those were not the characters. Here is another picture."
        )


@check
def a_country_is_chosen(browser):
    with served(ALLOWED_COUNTRIES="CN,GB,HK") as base, Page(browser, base) as seen:
        assert seen.page.locator("#country option").count() == 3
        seen.page.get_by_label("Country").select_option("GB")
        seen.ask("07400 123456")
        expect(seen.page.get_by_label("The 6 digits sent to +44******3456")).to_be_visible()


@check
def a_number_is_pasted_as_contacts_and_documents_have_it(browser):
    pasted = [
        "\u202a+44 7400 123450\u202c",
        "\u2068+44\u2069 7400\u202f123451",
        "(+44) 7400 123452",
        "＋44\u20127400\u2212123453",
        "+४४ ७४०० १२३४५४",
        "+𝟒𝟒 𝟕𝟒𝟎𝟎 𝟏𝟐𝟑𝟒𝟓𝟓",
        "0044\u200b7400\ufeff123456",
    ]
    with served(ALLOWED_COUNTRIES="CN,GB") as base:
        for index, text in enumerate(pasted):
            with Page(browser, base) as seen:
                seen.ask(text)
                expect(
                    seen.page.get_by_label(f"The 6 digits sent to +44******345{index}")
                ).to_be_visible()
        for text in (
            "\u202d138\u20150013\u20118001\u202c",
            "१३८ ００१३ ８００2",
            "１３８［００１３］８００３",
        ):
            with Page(browser, base) as seen:
                seen.ask(text)
                expect(seen.page.locator("#to")).to_have_value(re.compile("^138 0013 800[123]$"))
                expect(
                    seen.page.get_by_label(re.compile(r"The 6 digits sent to \+86\*{7}800[123]"))
                ).to_be_visible()
        for text in ("13800138000 x5", "\u202e13800138000", "1380013800①", "13800138000~1"):
            with Page(browser, base) as seen:
                seen.ask(text)
                expect(seen.page.locator("#to")).to_have_value(text)
                expect(seen.page.locator("#ask-error")).to_have_text(
                    "That is not a mobile number of this country."
                )


@check
def a_number_that_lacks_a_digit_is_told_which(browser):
    with served(ALLOWED_COUNTRIES="AR,CN") as base, Page(browser, base) as seen:
        seen.page.get_by_label("Country").select_option("AR")
        seen.ask("11 2345 6789")
        expect(seen.page.locator("#ask-error")).to_have_text(
            re.compile("Something is missing: .* a 9 after [+]54")
        )


@check
def a_code_is_pasted_in_any_script(browser):
    with served() as base, Page(browser, base) as seen:
        seen.ask()
        expect(seen.page.locator("#code")).to_be_focused()
        code = "".join(written(int(digit), like="०") for digit in seen.code())
        seen.page.locator("#code").fill(f"\u2068{code[:3]}\u202f{code[3:]}\u2069")
        expect(seen.page.get_by_role("heading", name="Your number is verified")).to_be_visible()


@check
def a_region_without_numbers_of_its_own_has_a_page_that_works(browser):
    with served(DEFAULT_REGION="AX") as base, Page(browser, base) as seen:
        expect(seen.page.locator("#country option")).to_have_text(
            [re.compile("^AX [+]358"), re.compile("^FI [+]358")]
        )
        seen.ask("041 2345678")
        expect(seen.page.get_by_label("The 6 digits sent to +358*****5678")).to_be_visible()


@check
def a_page_of_another_origin_gets_nothing(browser):
    with elsewhere() as origin, served(ALLOW_ORIGINS="*") as base, Page(browser, base) as seen:
        seen.ask()
        seen.code()
        foreign = seen.context.new_page()
        foreign.goto(origin)
        reads = "url => fetch(url).then(() => 'read', () => 'refused')"
        assert foreign.evaluate(reads, f"{base}/inbox.json") == "refused"
        assert foreign.evaluate(reads, f"{base}/healthz") == "read"
    with elsewhere() as origin, served() as base, Page(browser, base) as seen:
        foreign = seen.context.new_page()
        foreign.goto(origin)
        # A body without a type, and one that says it is text, need no permission to be sent.
        for options in ("{}", "{ type: 'text/plain' }"):
            foreign.evaluate(
                f"""url => fetch(url, {{ method: 'POST', mode: 'no-cors',
                body: new Blob(['{{"to":"13800138000"}}'], {options}) }})""",
                f"{base}/v1/verifications",
            )
        assert seen.page.evaluate("fetch('/inbox.json').then(answer => answer.json())") == []


@check
def the_documentation_is_drawn_and_tries_calls_out(browser):
    with served() as base, Page(browser, base) as seen:
        seen.page.goto(f"{base}/docs/")
        operation = (
            seen.page.locator(".opblock", has_text="/v1/verifications")
            .filter(has_text="Request a code")
            .first
        )
        operation.get_by_role("button").first.click()
        operation.get_by_role("button", name="Try it out").click()
        # As it is filled in, and then for another number.
        for number in ("+8613800138000", "+8613800138001"):
            operation.locator("textarea.body-param__text").fill(f'{{"to": "{number}"}}')
            operation.get_by_role("button", name="Execute", exact=True).click()
            masked = f"+86*******{number[-4:]}"
            expect(
                operation.locator(".live-responses-table .highlight-code", has_text=masked)
            ).to_be_visible()
            expect(
                operation.locator(".live-responses-table td.response-col_status", has_text="202")
            ).to_be_visible()


@check
def the_pages_work_below_a_path(browser):
    with served() as server, below("/auth", server) as base, Page(browser, base) as seen:
        seen.ask()
        expect(seen.page.locator("#code")).to_be_focused()
        seen.page.locator("#code").fill(seen.code())
        expect(seen.page.get_by_role("heading", name="Your number is verified")).to_be_visible()
        seen.page.goto(f"{base}/inbox")
        expect(seen.page.locator(".bubble")).to_be_visible()
        seen.page.goto(f"{base}/ops")
        expect(seen.page.locator("#state")).to_have_text(re.compile("^as of"))
        seen.page.goto(f"{base}/docs/")
        operation = seen.page.locator(".opblock", has_text="/healthz").first
        operation.get_by_role("button").first.click()
        operation.get_by_role("button", name="Try it out").click()
        operation.get_by_role("button", name="Execute", exact=True).click()
        expect(
            operation.locator(".live-responses-table td.response-col_status", has_text="200")
        ).to_be_visible()


@check
def operators_see_what_happens(browser):
    with served() as base, Page(browser, base) as seen:
        seen.ask()
        seen.code()
        seen.page.goto(f"{base}/ops")
        figure = seen.page.locator(".figure", has_text="conversion here")
        expect(figure.locator("b")).to_have_text("0 %")
        expect(seen.page.locator("#gateways")).to_contain_text("inbox")
        expect(seen.page.locator("#countries")).to_contain_text("CN")
        ask = """fetch("/v1/verifications", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ to: "13800138000" }),
        }).then(answer => answer.status)"""
        assert seen.page.evaluate(ask) == 429
        expect(seen.page.locator("#policies")).to_contain_text("cooldown")
        for name in ("unavailable /s", "held back /s", "handed out after"):
            expect(seen.page.locator(".figure", has_text=name)).to_be_visible()
        expect(seen.page.get_by_text("None.")).to_be_visible()
        if FOLDER:
            seen.page.set_viewport_size({"width": 1000, "height": 620})
            seen.page.screenshot(path=f"{FOLDER}/ops.png")


def main():
    only = os.environ.get("ONLY", "")
    chosen = [function for function in CHECKS if only in function.__name__]
    if not chosen:
        return
    with sync_playwright() as playwright:
        quiet = [
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--disable-quic",
        ]
        sandbox = os.geteuid() != 0
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=quiet, chromium_sandbox=sandbox
        )
        for function in chosen:
            print(f"browser: {function.__name__}", flush=True)
            function(browser)
        browser.close()
    print(f"{len(chosen)} passed, 0 failed")


main()
