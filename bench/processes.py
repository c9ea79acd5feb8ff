"""Processes under measurement: started, observed and ended, each with all its children."""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import psutil


class Process:
    """A command in its own process group; its output goes to a file, shown if it fails."""

    def __init__(self, name, command, environment, folder):
        self.name = name
        self.log = os.path.join(folder, f"{name}.log")
        self.began = time.monotonic()
        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [str(part) for part in command],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def tree(self):
        """The process and its descendants."""
        parent = psutil.Process(self.child.pid)
        return [parent, *parent.children(recursive=True)]

    def cpu(self):
        """Processor seconds so far, user and system."""
        return sum(sum(process.cpu_times()[:2]) for process in self.tree())

    def memory(self):
        """Proportional set size in bytes: a page counts by the share that this process has."""
        return sum(process.memory_full_info().pss for process in self.tree())

    def wait_until_answered(self, request):
        """Waits for success or for a cooldown; returns the seconds since the start."""
        while True:
            try:
                urllib.request.urlopen(request, timeout=5).close()
                return time.monotonic() - self.began
            except urllib.error.HTTPError as error:
                if error.code == 429:
                    return time.monotonic() - self.began
            except OSError:
                self.check()
            time.sleep(0.002)

    def check(self):
        if self.child.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{self.name} has ended:\n{log.read()[-4000:]}")

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self):
        if self.child.poll() is None:
            # The emulator ends and leaves its function.
            children = psutil.Process(self.child.pid).children(recursive=True)
            os.killpg(self.child.pid, signal.SIGTERM)
            try:
                self.child.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self.child.pid, signal.SIGKILL)
                self.child.wait()
            for child in children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()


class Service:
    """Redis or RabbitMQ: the process on this machine that listens at a URL."""

    def __init__(self, url):
        port = urllib.parse.urlsplit(url).port
        self.process = next(
            psutil.Process(listener.pid)
            for listener in psutil.net_connections("tcp")
            if listener.status == psutil.CONN_LISTEN and listener.laddr.port == port
        )

    def cpu(self):
        """Processor seconds so far, user and system."""
        return sum(self.process.cpu_times()[:2])


# Each port is given out once, below those that the system gives to outgoing connections.
_ports = iter(range(20000 + os.getpid() % 5000, 32000))


def free_port():
    """A port that nobody listens on."""
    for port in _ports:
        with socket.socket() as attempt:
            try:
                attempt.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
