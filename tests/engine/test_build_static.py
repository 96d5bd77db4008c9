"""Static sites, and the server that comes along."""

import http.client
import subprocess
import sys

import pytest

from core.errors import BuildFailed
from tests.conftest import eventually
from tests.engine.workshop import Workshop
from tests.ports import free_port

SITE = {
    "index.html": "<h1>home</h1>",
    "about.html": "about",
    "404.html": "lost",
    "sub/index.html": "sub",
    "data.json": "{}",
    "numbers.txt": "0123456789",
    ".env": "SECRET=1",
    ".well-known/security.txt": "contact",
}
PORT = free_port()


@pytest.fixture
def shop(tmp_path):
    return Workshop(tmp_path / "data")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    shop = Workshop(tmp_path_factory.mktemp("static") / "data")
    shop.build(SITE)
    (tree := shop.tree()).joinpath("out").symlink_to("/etc/passwd")
    server = [sys.executable, "-IS", ".slipway/static_server.py"]
    with subprocess.Popen(server, cwd=tree, env={"PORT": str(PORT)}) as process:
        eventually(lambda: answers("/"))
        yield shop
        process.terminate()
        assert process.wait(5) == 0


def answers(path, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=5)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    except ConnectionRefusedError:
        return None
    finally:
        connection.close()


def test_it_serves_itself(site):
    assert site.result.buildpacks == ["Static site"]
    assert site.result.process_types["web"].endswith("-IS .slipway/static_server.py")


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, "<h1>home</h1>"),
        ("/about", 200, "about"),
        ("/about.html?x=1", 200, "about"),
        ("/sub/", 200, "sub"),
        ("/sub", 301, ""),
        ("/nothing", 404, "lost"),
        ("/.env", 404, "lost"),
        ("/.slipway/static_server.py", 404, "lost"),
        ("/.well-known/security.txt", 200, "contact"),
        ("/../../etc/passwd", 404, "lost"),
        ("/%2e%2e/%2e%2e/etc/passwd", 404, "lost"),
        ("/out", 404, "lost"),
        ("/a%00b", 404, "lost"),
    ],
)
def test_paths(site, path, status, body):
    assert answers(path)[:2] == (status, body)


def test_types_ranges_and_tags(site):
    assert answers("/data.json")[2]["Content-Type"] == "application/json"
    status, body, headers = answers("/numbers.txt", Range="bytes=2-4")
    assert (status, body, headers["Content-Range"]) == (206, "234", "bytes 2-4/10")
    assert answers("/numbers.txt", Range="bytes=-3")[1] == "789"
    assert answers("/numbers.txt", Range="bytes=50-")[0] == 416
    tag = answers("/numbers.txt")[2]["ETag"]
    assert answers("/numbers.txt", If_None_Match=tag)[:2] == (304, "")
    status, body, headers = answers("/numbers.txt", method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, "", "10")
    assert answers("/", method="POST")[0] == 501


def test_no_redirect_leads_to_another_host(site):
    assert answers("//sub")[2]["Location"] == "/sub/"


def test_static_json_says_where(shop):
    shop.build({"static.json": '{"root": "dist/"}', "dist/x.html": "x"})
    assert "Serving dist/" in shop.output
    with pytest.raises(BuildFailed, match=r"names the folder '\.\./x'"):
        shop.build({"static.json": '{"root": "../x"}'})
    with pytest.raises(BuildFailed, match=r"static\.json is not a JSON object"):
        shop.build({"static.json": "["})


def test_a_public_folder_is_served(shop):
    assert shop.build({"public/index.html": "x"}).process_types["web"].endswith("static_server.py public")
