"""A real browser at a real server: Daphne as a child process with a database and keys of its own."""

import base64
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import eventually

# The shell is the same engine without the windows around it, which nobody sees here, and takes a good part less of the processor.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 20_000  # milliseconds: a loaded machine draws a page in seconds


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(str(item.fspath)).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """The data folder of that dashboard."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def site(data):
    """The address of a seeded dashboard."""
    with serve(data, "tests.browser.seed") as url:
        yield url


@contextmanager
def serve(data, seed):
    """A dashboard whose database, in the folder `data`, the module `seed` has filled; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://localhost:{port}"
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SLIPWAY_DATA": str(data),
        "SLIPWAY_SECRET_KEY": base64.b64encode(os.urandom(40)).decode(),
        "SLIPWAY_KEYS": "test:" + base64.b64encode(os.urandom(32)).decode(),
        "SLIPWAY_URL": url,
        "SLIPWAY_GITHUB_CLIENT_ID": "of-the-tests",
        "SLIPWAY_GITHUB_CLIENT_SECRET": "of-the-tests",
    }
    environment.pop("DATABASE_URL", None)
    subprocess.run([sys.executable, "-m", seed], cwd=ROOT, env=environment, check=True)
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "config.asgi:application"]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    try:
        eventually(lambda: answers(url), seconds=30, every=0.1)
        yield url
    finally:
        server.terminate()
        server.wait(10)


def answers(url):
    try:
        return urllib.request.urlopen(f"{url}/sign-in/", timeout=5).status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        said = "chromium is not installed (apt-get install chromium): no browser test can run"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def signed_in(chromium, site):
    """The cookies of Alice, who signed in through the form."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site}/sign-in/?next=/pipelines/shop/")
    page.fill("#email", "alice@example.com")
    page.fill("#pw", "a fine password")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}/pipelines/shop/")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(chromium, site, signed_in):
    """`open_page("/path/", width=390)` gives a page of Alice's; what its console complains of is in `complaints`."""
    contexts = []

    def open(path, *, width=1440, height=900, **options):
        context = chromium.new_context(
            storage_state=signed_in, viewport={"width": width, "height": height}, **options
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda line: page.complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.goto(site + path)
        return page

    yield open
    for context in contexts:
        context.close()
