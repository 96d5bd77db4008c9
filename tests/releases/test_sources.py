"""Archives of source code: uploaded to one-time addresses, stored once, fetched from elsewhere with care."""

import hashlib
import http.server
import io
import os
import threading
import time
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone

from core.errors import Refusal
from releases import sources
from releases.models import Source
from tests.factories import make_app

TAR = b"\x1f\x8b not really a tar, and nobody looks into it here"


@pytest.fixture
def made(alice, settings):
    settings.URL = "http://localhost:8000"
    return sources.create_source(alice)


def path(url):
    return url.removeprefix("http://localhost:8000")


def content(response):
    async def gather():
        return b"".join([piece async for piece in response.streaming_content])

    return async_to_sync(gather)()


def put(client, url, data=TAR):
    return client.put(path(url), data, content_type="application/octet-stream")


def test_what_was_put_can_be_got(client, made, settings):
    source, put_url, get_url = made
    assert put(client, put_url).status_code == 200
    assert content(client.get(path(get_url))) == TAR
    source.refresh_from_db()
    assert source.checksum == "sha256:" + hashlib.sha256(TAR).hexdigest()
    assert source.bytes == len(TAR)
    assert (settings.DATA / source.path).read_bytes() == TAR


@pytest.mark.promise("I-32")
def test_an_address_takes_one_upload(client, made):
    _, put_url, get_url = made
    put(client, put_url)
    assert put(client, put_url, b"other").status_code == 404
    assert content(client.get(path(get_url))) == TAR


def test_the_addresses_can_do_their_own_thing_only(client, made):
    _, put_url, get_url = made
    assert client.get(path(put_url)).status_code == 404
    assert put(client, get_url).status_code == 404
    assert client.get(path(get_url)).status_code == 404
    assert client.post(path(put_url), TAR, content_type="x/y").status_code == 405


def test_their_secrets_are_not_stored(made):
    source, put_url, get_url = made
    row = str(Source.objects.filter(pk=source.pk).values().get())
    assert put_url.rpartition("/")[2] not in row
    assert get_url.rpartition("/")[2] not in row


def test_an_address_to_upload_to_ends_after_an_hour(client, made):
    source, put_url, _ = made
    Source.objects.filter(pk=source.pk).update(created_at=timezone.now() - timedelta(hours=1, minutes=1))
    assert put(client, put_url).status_code == 404


@pytest.mark.promise("I-46")
def test_too_much_and_nothing_are_refused_and_leave_nothing(client, made, settings):
    settings.SOURCE_BYTES = 1000
    _, put_url, _ = made
    before = set((settings.DATA / "sources").glob("*"))
    assert put(client, put_url, b"x" * 1001).status_code == 413
    assert put(client, put_url, b"").status_code == 422
    assert set((settings.DATA / "sources").glob("*")) == before
    assert put(client, put_url, b"x" * 1000).status_code == 200


def test_an_upload_that_breaks_off_leaves_no_file(settings):
    class Broken(io.RawIOBase):
        def read(self, size=-1):
            raise ConnectionResetError

    before = set((settings.DATA / "sources").glob("*"))
    with pytest.raises(ConnectionResetError):
        sources.store_archive(Broken(), 1000)
    assert set((settings.DATA / "sources").glob("*")) == before


@pytest.mark.promise("I-30")
def test_a_source_is_found_by_its_owner_alone(client, made, alice, bob):
    source, put_url, get_url = made
    with pytest.raises(Refusal, match="Nothing has been uploaded"):
        sources.of_address(get_url, user=alice)
    put(client, put_url)
    assert sources.of_address(get_url, user=alice) == source
    with pytest.raises(Refusal, match="someone else's"):
        sources.of_address(get_url, user=bob)
    assert sources.of_address("https://example.com/a.tgz", user=alice) is None


def test_one_upload_is_built_on_several_apps(client, made, alice):
    source, put_url, get_url = made
    put(client, put_url)
    first = sources.adopt(sources.of_address(get_url, user=alice), make_app(owner=alice), version="v1")
    other = make_app(owner=alice)
    second = sources.adopt(sources.of_address(get_url, user=alice), other)
    assert (first.pk, first.version) == (source.pk, "v1")
    assert second.pk != first.pk
    assert (second.app, second.path) == (other, first.path)


def test_a_wrong_checksum_is_noticed(client, made, alice):
    _, put_url, get_url = made
    put(client, put_url)
    source = sources.of_address(get_url, user=alice)
    with pytest.raises(Refusal, match="checksum"):
        sources.adopt(source, make_app(owner=alice), checksum="SHA256:" + "0" * 64)
    good = "SHA256:" + hashlib.sha256(TAR).hexdigest()
    assert sources.adopt(source, make_app(owner=alice), checksum=good).path


@pytest.fixture
def elsewhere():
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/a.tgz" else 404)
            self.end_headers()
            self.wfile.write(TAR)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_an_archive_elsewhere_is_fetched(elsewhere, alice, settings):
    settings.OUTBOUND_ALLOW = ["127.0.0.0/8"]
    source = sources.fetch(f"{elsewhere}/a.tgz", user=alice)
    assert (settings.DATA / source.path).read_bytes() == TAR
    with pytest.raises(Refusal, match="404"):
        sources.fetch(f"{elsewhere}/b.tgz", user=alice)


@pytest.mark.promise("I-41")
def test_an_archive_on_an_internal_address_is_not(elsewhere, alice):
    with pytest.raises(Refusal, match="internal address"):
        sources.fetch(f"{elsewhere}/a.tgz", user=alice)
    assert not Source.objects.exists()


def test_what_no_row_names_is_swept_away(client, made, settings):
    source, put_url, _ = made
    put(client, put_url)
    source.refresh_from_db()
    orphan, young = settings.DATA / "sources" / "orphan", settings.DATA / "sources" / "young"
    for file in (orphan, young, settings.DATA / source.path):
        file.touch()
        if file != young:
            os.utime(file, (time.time() - 200_000,) * 2)
    sources.sweep()
    assert not orphan.exists()
    assert young.exists()
    assert (settings.DATA / source.path).exists()
