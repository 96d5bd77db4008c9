"""The slug store: what goes in comes out, or not at all."""

import json
import os
import subprocess
import tarfile
import threading

import pytest
import zstandard

from core.errors import EngineError
from engine.builder.pack import INDEX_HEAD, make_layer, pack
from engine.builder.slugs import SlugStore
from tests.engine.workshop import entry, tar


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


def layered(store, app, *, code="one", evil=None):
    """A slug with a layer at lib/deps, made of the folder `deps`."""
    deps = app.parent / "deps"
    (deps / "pkg").mkdir(parents=True, exist_ok=True)
    (deps / "pkg/module.py").write_text("shared = True\n")
    layer = make_layer(deps, b"lib/deps", app.parent / "layer", max_bytes=10**9)
    (app / "lib/code.py").write_text(code)
    if evil is not None:
        (app / "lib/deps/pkg").mkdir(parents=True, exist_ok=True)
        (app / "lib/deps/pkg/module.py").write_text(evil)
    path = app.parent / "layered"
    pack(app, path, max_bytes=10**9, layers=[] if evil is not None else [layer])
    if (
        evil is not None
    ):  # as a tampered build could: the layer's frame in front of a tree with the same names
        rest = path.read_bytes()[: -len(INDEX_HEAD) - 512]
        frame = (app.parent / "layer").read_bytes()
        path.write_bytes(frame + rest + INDEX_HEAD + json.dumps([len(frame)]).encode().ljust(512))
    return store.tree(store.put(path))


def test_slugs_share_the_files_of_a_layer(store, app):
    first, second = layered(store, app, code="one"), layered(store, app, code="two")
    assert first != second
    assert ((first / "lib/code.py").read_text(), (second / "lib/code.py").read_text()) == ("one", "two")
    module = "lib/deps/pkg/module.py"
    assert (first / module).stat().st_ino == (second / module).stat().st_ino
    assert (second / module).read_text() == "shared = True\n"


def test_no_slug_changes_the_layer_of_another(store, app):
    first = layered(store, app)
    second = layered(store, app, evil="taken over\n")
    assert (second / "lib/deps/pkg/module.py").read_text() == "taken over\n"
    assert (first / "lib/deps/pkg/module.py").read_text() == "shared = True\n"


@pytest.mark.parametrize("index", [b"[99999999]", b"[-5]", b"[1]", b"{}", b'["x"]', b"[true]", b"\xff"])
def test_an_index_that_lies_is_damage_or_ignored(store, app, index):
    path = slug(app)
    path.write_bytes(path.read_bytes()[: -len(INDEX_HEAD) - 512] + INDEX_HEAD + index.ljust(512))
    digest = store.put(path)
    try:
        assert (store.tree(digest) / "lib/code.py").read_text() == "print('hello')\n"
    except EngineError as fault:
        assert fault.permanent


def test_an_ordinary_tar_reads_a_slug(store, app):
    layered(store, app)
    path = next(store.archives.glob("*.zst"))
    names = subprocess.run(
        f"zstd -dc {path} | tar -t", shell=True, check=True, capture_output=True, text=True
    ).stdout.split()
    assert "lib/code.py" in names
    assert "lib/deps/pkg/module.py" in names


def of_frames(store, tmp_path, *frames):
    """A slug of tar archives; all but the last are layers."""
    packed = [
        zstandard.compress(frame.rstrip(b"\0") + bytes(-len(frame.rstrip(b"\0")) % 512))
        for frame in frames[:-1]
    ]
    lengths = [len(frame) for frame in packed]
    index = INDEX_HEAD + json.dumps(lengths).encode().ljust(512)
    path = tmp_path / "frames"
    path.write_bytes(b"".join([*packed, zstandard.compress(frames[-1]), index]))
    return store.tree(store.put(path))


@pytest.mark.parametrize("kind", ["layer below a link", "file below a link", "hard link through a link"])
def test_a_link_in_a_layer_leads_nobody_out(store, tmp_path, kind):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    link = tar({"x": entry("x", tarfile.SYMTYPE, linkname=str(outside))})
    frames = {
        "layer below a link": [link, tar({"x/evil": "evil"}), tar({})],
        "file below a link": [link, tar({"x/evil": "evil"})],
        "hard link through a link": [link, tar({"y": entry("y", tarfile.LNKTYPE, linkname="x/secret")})],
    }[kind]
    with pytest.raises(EngineError, match="R17"):
        of_frames(store, tmp_path, *frames)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").stat().st_nlink == 1
    assert os.readlink(of_frames(store, tmp_path, link, tar({"a": "b"})) / "x") == str(outside)
