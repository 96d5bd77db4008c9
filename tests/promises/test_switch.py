"""Promise I-04: a healthy deploy fails no request, and no request sees two releases."""

import asyncio
import http.client
import threading

import pytest

from apps import actions as app_actions
from engine.router import LocalRouter
from releases import actions
from tests.conductor.conftest import Stage, ended
from tests.conftest import eventually
from tests.factories import make_app
from tests.ports import free_port


class Routed(Stage):
    """A conductor behind the real router, on a loop of its own."""

    def start(self):
        self.port, self.loop = free_port(), asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.router = LocalRouter(
            sink=self.logs,
            control=self.data / "none.sock",
            control_hosts=frozenset(["localhost"]),
            apps_host="localhost",
        )
        super().start()
        self._do(self.router.start("127.0.0.1", self.port))

    def stop(self):
        super().stop()
        self._do(self.router.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)


@pytest.fixture
def routed(transactional_db, data):
    routed = Routed(data)
    routed.start()
    yield routed
    routed.stop()


class Visitor(threading.Thread):
    """Asks for the app again and again, and keeps what it got."""

    def __init__(self, port):
        super().__init__()
        self.port, self.seen, self.bad, self.done = port, [], [], threading.Event()

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        while not self.done.is_set():
            try:
                connection.request("GET", "/", headers={"Host": "shop.localhost"})
                answer = connection.getresponse()
                text = answer.read().decode()
            except (OSError, http.client.HTTPException) as error:
                self.bad.append(repr(error))
                connection.close()
                continue
            if answer.status != 200 or text.count("|") != 2:
                self.bad.append((answer.status, text))
            else:
                self.seen.append(tuple(text.split("|")[:2]))
        connection.close()


@pytest.mark.promise("I-04")
def test_deploys_restarts_and_config_changes_fail_no_request(routed, alice):
    app = make_app("shop", owner=alice)
    routed.deployed(app, alice)
    app_actions.scale(app, {"web": {"quantity": 2}}, by=alice)
    visitors = [Visitor(routed.port) for _ in range(6)]
    for visitor in visitors:
        visitor.start()
    try:
        routed.deployed(app, alice)
        ended(actions.set_config(app, {"GREETING": "ahoy"}, by=alice))
        app_actions.restart(app, by=alice)
        app_actions.scale(app, {"web": {"quantity": 1}}, by=alice)
        routed.deployed(app, alice)
        eventually(lambda: all(visitor.seen[-1:] == [("v4", "ahoy")] for visitor in visitors))
    finally:
        for visitor in visitors:
            visitor.done.set()
        for visitor in visitors:
            visitor.join()
    assert [visitor.bad for visitor in visitors] == [[]] * len(visitors)
    whole = {("v1", ""), ("v2", ""), ("v3", "ahoy"), ("v4", "ahoy")}
    for visitor in visitors:
        assert set(visitor.seen) <= whole
        assert visitor.seen == sorted(visitor.seen), "an older release answered after a newer one"
    assert sum(len(visitor.seen) for visitor in visitors) > 100
