"""Settings of the tests: the real ones with throw-away keys, a cheap hasher and a data folder of their own."""

import base64
import os
import tempfile

os.environ["SLIPWAY_DATA"] = tempfile.mkdtemp(prefix="slipway-tests-")
os.environ["SLIPWAY_SECRET_KEY"] = base64.b64encode(os.urandom(40)).decode()
os.environ["SLIPWAY_KEYS"] = "test:" + base64.b64encode(os.urandom(32)).decode()
os.environ["SLIPWAY_FAILPOINTS"] = "1"
os.environ["SLIPWAY_GITHUB_CLIENT_ID"] = os.environ["SLIPWAY_GITHUB_CLIENT_SECRET"] = "of-the-tests"
if "TEST_DATABASE_URL" in os.environ:
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"]

from config.settings import *  # noqa: F403
from config.settings import ALLOWED_HOSTS, DATA, DATABASES, MIDDLEWARE

ALLOWED_HOSTS += ["testserver"]
MIDDLEWARE = [
    "tests.assets.SharedAssets" if name == "core.assets.LeanAssets" else name for name in MIDDLEWARE
]
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, as in earnest: threads that share an in-memory database meet locks that no timeout waits for.
    DATABASES["default"]["TEST"] = {"NAME": str(DATA / "test.sqlite3")}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
if "TEST_DATABASE_URL" in os.environ:
    DATABASES["default"]["OPTIONS"] = {}  # a pool would hold on to a database that is to be dropped
