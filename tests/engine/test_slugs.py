"""The slug store: what goes in comes out, or not at all."""

import os
import threading

import pytest

from core.errors import EngineError
from engine.builder.pack import pack
from engine.builder.slugs import SlugStore


@pytest.fixture
def store(tmp_path):
    return SlugStore(tmp_path / "slugs")


@pytest.fixture
def app(tmp_path):
    root = tmp_path / "app"
    (root / "lib").mkdir(parents=True)
    (root / "lib/code.py").write_text("print('hello')\n")
    (root / "empty").mkdir()
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o700)
    (root / "link").symlink_to("/usr/bin/env")
    return root


def slug(app, name="slug"):
    path = app.parent / name
    pack(app, path, max_bytes=10**9)
    return path


def test_what_goes_in_comes_out(store, app):
    digest = store.put(slug(app))
    assert store.has(digest)
    tree = store.tree(digest)
    assert (tree / "lib/code.py").read_text() == "print('hello')\n"
    assert (tree / "empty").is_dir()
    assert os.readlink(tree / "link") == "/usr/bin/env"
    assert (tree / "run").stat().st_mode & 0o777 == 0o755


def test_the_same_files_make_the_same_slug(store, app):
    first = store.put(slug(app))
    os.utime(app / "run", (1, 1))
    (app / "lib").rename(app / "other")
    (app / "other").rename(app / "lib")
    (app / "lib/code.py").chmod(0o600)
    assert store.put(slug(app)) == first
    (app / "run").write_text("#!/bin/bash\n")
    assert store.put(slug(app)) != first


def test_putting_twice_is_one_slug(store, app):
    assert store.put(slug(app, "one")) == store.put(slug(app, "two"))
    assert len(list(store.archives.iterdir())) == 1


@pytest.mark.promise("I-14")
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_slug_is_never_handed_out(store, app, harm):
    digest = store.put(slug(app))
    path = store.path(digest)
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.unlink() if harm == "remove" else path.write_bytes(data if harm == "flip" else data[:-9])
    with pytest.raises(EngineError, match=r"Error R17 \(Checksum error\)") as caught:
        store.tree(digest)
    assert caught.value.permanent
    assert not (store.trees / digest[7:]).exists()


@pytest.mark.promise("I-14")
def test_a_slug_damaged_later_is_found_out_by_the_next_process(store, app):
    digest = store.put(slug(app))
    store.tree(digest)
    store.path(digest).chmod(0o600)
    store.path(digest).write_bytes(b"broken")
    with pytest.raises(EngineError, match="R17"):
        SlugStore(store.archives.parent).tree(digest)


def test_building_again_heals_a_damaged_slug(store, app):
    digest = store.put(slug(app))
    store.path(digest).chmod(0o600)
    store.path(digest).write_bytes(b"broken")
    assert store.put(slug(app, "again")) == digest
    assert (store.tree(digest) / "run").exists()


def test_a_tree_that_was_not_finished_is_made_anew(store, app):
    digest = store.put(slug(app))
    half = store.trees / digest[7:] / "app"
    half.mkdir(parents=True)
    assert (store.tree(digest) / "lib/code.py").exists()


def test_a_tree_from_before_the_last_boot_is_made_anew(store, app):
    digest = store.put(slug(app))
    tree = store.tree(digest)
    (tree.parent / ".complete").write_text("another boot")
    (tree / "run").write_text("")
    assert (SlugStore(store.archives.parent).tree(digest) / "run").read_text() == "#!/bin/sh\n"


def test_many_ask_at_once(store, app):
    digest, found = store.put(slug(app)), []
    askers = [threading.Thread(target=lambda: found.append(store.tree(digest))) for _ in range(8)]
    [asker.start() for asker in askers]
    [asker.join() for asker in askers]
    assert found == [store.trees / digest[7:] / "app"] * 8


def test_dropping_and_trimming(store, app):
    digests = []
    for text in "abc":
        (app / "run").write_text(text)
        digests.append(store.put(slug(app)))
        os.utime(store.tree(digests[-1]).parent, (len(digests), len(digests)))
    assert store.trim(1, used=[digests[0]]) == 1
    assert [(store.trees / digest[7:]).exists() for digest in digests] == [True, False, True]
    assert (store.tree(digests[1]) / "run").read_text() == "b"
    store.drop(digests[1])
    assert not store.has(digests[1])
    with pytest.raises(EngineError):
        store.tree(digests[1])


def test_a_name_that_is_no_digest_is_never_a_path(store):
    with pytest.raises(ValueError, match="is not a digest"):
        store.path("sha256:../../etc")


def test_file_names_that_are_not_utf8(store, app):
    with open(os.fsencode(app) + b"/caf\xe9", "wb") as file:
        file.write(b"noir")
    tree = store.tree(store.put(slug(app)))
    with open(os.fsencode(tree) + b"/caf\xe9", "rb") as file:
        assert file.read() == b"noir"
