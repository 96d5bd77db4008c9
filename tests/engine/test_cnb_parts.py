"""What is made of a builder's labels, of project.toml, and of images that a build has left: without an engine."""

import hashlib
import io
import json
import tarfile

import pytest

from core.errors import BuildFailed
from engine.builder.containers.cnb import layout
from engine.builder.containers.cnb.builder import read
from engine.builder.containers.cnb.project import order, read_project
from engine.drivers.swarm.describe import argv
from engine.spec import ProcessSpec
from tests.cnb import labels
from tests.engine.workshop import tar

BASE = [f"sha256:{number:064x}" for number in (1, 2)]
RUN = {
    "RootFS": {"Layers": BASE},
    "Architecture": "amd64",
    "Os": "linux",
    "Created": "2026-01-01T00:00:00Z",
    "Config": {"Env": ["PATH=/bin"], "Labels": {"io.buildpacks.base.distro.name": "debian"}},
}
ENV = ["PATH=/bin", "CNB_USER_ID=1000", "CNB_GROUP_ID=1001"]


def put(files, content):
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    digest = hashlib.sha256(data).hexdigest()
    files[f"build/blobs/sha256/{digest}"] = data
    return {"digest": f"sha256:{digest}", "size": len(data)}


def image(base=BASE, layer=b"a layer", **config):
    """A layout as a lifecycle leaves it: of one layer on the run image's."""
    files = {}
    told = {"rootfs": {"diff_ids": [*base, f"sha256:{3:064x}"]}, "config": {"Labels": {"a": "b"}}, **config}
    blobs = [{"digest": digest, "size": 1} for digest in base]
    manifest = {"config": put(files, told), "layers": [*blobs, put(files, layer)]}
    files["build/index.json"] = json.dumps({"manifests": [put(files, manifest)]})
    return files


def taken(files, tmp_path, most=10**6):
    return layout.take([tar(files)], tmp_path / "image", BASE, most=most)


def test_a_builder_says_as_whom_it_builds_and_on_what():
    found = read("team/builder:1", "sha256:1", {"Labels": labels("team/run:1"), "Env": ENV})
    assert (found.uid, found.gid, found.run_image, found.api) == (1000, 1001, "team/run:1", "0.14")
    assert found.buildpacks["slipway-tests/hello"] == ["1.2.3"]
    older = labels("team/run:1", apis=["0.3", "0.12"])
    told = json.loads(older["io.buildpacks.builder.metadata"])
    del told["images"]
    older = {"io.buildpacks.builder.metadata": json.dumps(told)}
    found = read("team/builder:1", "sha256:1", {"Labels": older, "Env": ENV})
    assert (found.run_image, found.api) == ("team/run:1", "0.12")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "is no builder of Cloud Native Buildpacks. The operator chooses it by SLIPWAY_CNB_BUILDER."),
        ({"Labels": {"io.buildpacks.builder.metadata": "[]"}}, "is no builder"),
        ({"Labels": {"io.buildpacks.builder.metadata": "{"}}, "is no builder"),
        ({"Labels": labels("run", apis=["0.3", "0.11"]), "Env": ENV}, "none of the Platform APIs 0.14"),
        ({"Labels": labels("run"), "Env": ["PATH=/bin"]}, "does not say as whom to build"),
        ({"Labels": labels("run"), "Env": [*ENV, "CNB_USER_ID=0"]}, "It may not be root"),
    ],
)
def test_what_is_no_builder_that_will_do(config, words):
    with pytest.raises(BuildFailed) as refused:
        read("team/builder:1", "sha256:1", config)
    assert words in str(refused.value)


def test_the_run_image_is_a_folder_without_its_layers(tmp_path):
    files = layout.sparse(RUN)
    index = json.loads(files["index.json"])["manifests"][0]
    manifest = json.loads(files["blobs/" + index["digest"].replace(":", "/")])
    config = files["blobs/" + manifest["config"]["digest"].replace(":", "/")]
    assert manifest["config"]["size"] == len(config)
    assert [each["digest"] for each in manifest["layers"]] == BASE
    assert json.loads(config)["rootfs"]["diff_ids"] == BASE
    assert json.loads(config)["config"]["Labels"] == RUN["Config"]["Labels"]
    assert len(files) == 4


def test_an_image_is_taken_and_named_by_us_alone(tmp_path):
    made = taken(image(), tmp_path)
    assert made.labels == {"a": "b"}
    assert made.layers[:2] == [None, None]
    layout.archive_of(made, "slipway/x/app-a:web-1", (), tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        told = json.load(archive.extractfile("manifest.json"))
        sizes = [archive.getmember(name).size for name in told[0]["Layers"]]
        config = archive.extractfile(told[0]["Config"]).read()
    assert told[0]["RepoTags"] == ["slipway/x/app-a:web-1"]
    assert sizes == [0, 0, len(b"a layer")]
    assert config == made.config


def test_an_engine_that_wants_all_layers_gets_them(tmp_path):
    saved = io.BytesIO(
        tar(
            {
                "a/layer.tar": b"first",
                "b/layer.tar": b"second",
                "manifest.json": json.dumps([{"Layers": ["a/layer.tar", "b/layer.tar"]}]),
            }
        )
    )
    layout.archive_of(taken(image(), tmp_path), "name:1", layout.layers_of(saved), tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as archive:
        layers = json.load(archive.extractfile("manifest.json"))[0]["Layers"]
        assert [archive.extractfile(name).read() for name in layers] == [b"first", b"second", b"a layer"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "no image that can be read"),
        ({"build/index.json": "[]"}, "no image that can be read"),
        ({"build/index.json": '{"manifests": [{"digest": "sha256:../../etc/passwd"}]}'}, "lacks a layer"),
        (image(base=BASE[::-1]), "is not built on the run image"),
        (image(base=BASE[:1]), "is not built on the run image"),
        (image(rootfs=[]), "no image that can be read"),
        (image(rootfs={"diff_ids": BASE}), "is not built on the run image"),
        ({name: b"else" if data == b"a layer" else data for name, data in image().items()}, "is not what its digest"),
        ({name: data for name, data in image().items() if data != b"a layer"}, "lacks a layer"),
    ],
)  # fmt: skip
def test_an_image_that_was_tampered_with_is_not_taken(files, words, tmp_path):
    with pytest.raises(BuildFailed) as refused:
        taken(files, tmp_path)
    assert words in str(refused.value)


def test_links_in_it_lead_nowhere(tmp_path):
    files = image()
    name = next(name for name, data in files.items() if data == b"a layer")
    link = tarfile.TarInfo(name)
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(BuildFailed, match="lacks a layer"):
        taken({**files, name: link}, tmp_path)


def test_an_image_ends_at_the_limit(tmp_path):
    with pytest.raises(BuildFailed, match="The image is over"):
        taken(image(layer=bytes(10**6)), tmp_path, most=10**5)


def test_an_order_is_of_what_the_builder_has():
    there = {"heroku/python": ["1.0.0", "2.0.0"], "team/tool": ["0.1"]}
    text = order([("python", ""), ("team/tool", "0.1")], there, "builder")
    assert text.split("\n")[1:4] == ["[[order.group]]", 'id = "heroku/python"', 'version = "2.0.0"']
    assert 'id = "team/tool"' in text
    with pytest.raises(BuildFailed, match=r"has no buildpack cobol. It has: heroku/python, team/tool."):
        order([("cobol", "")], there, "builder")
    with pytest.raises(BuildFailed, match=r"has no version 9 of heroku/python. It has: 1.0.0, 2.0.0."):
        order([("python", "9")], there, "builder")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = [", "is not TOML"),
        ("io = 1\n[build]\nbuildpacks = 3", "write buildpacks as"),
        ('[[io.buildpacks.group]]\nuri = "https://example.com/x.tgz"', "is not named by its id"),
        ('[[io.buildpacks.group]]\nid = "a"\n[io.buildpacks.group.script]\ninline = "x"', "is not named by its id"),
        ('[[io.buildpacks.build.env]]\nname = "../x"\nvalue = "y"', "write variables of the build as"),
        ('[io.buildpacks]\ninclude = ["src"]', "include can't be had here"),
    ],
)  # fmt: skip
def test_a_project_that_can_not_be_had_says_why(text, words, tmp_path):
    (tmp_path / "project.toml").write_text(text)
    with pytest.raises(BuildFailed) as refused:
        read_project(tmp_path)
    assert words in str(refused.value)


def test_the_older_schema_is_read_too(tmp_path):
    (tmp_path / "project.toml").write_text(
        '[build]\nexclude = ["a"]\n[[build.buildpacks]]\nid = "x/y"\n[[build.env]]\nname = "A"\nvalue = "1"\n'
    )
    found = read_project(tmp_path)
    assert (found.buildpacks, found.env, found.exclude) == ([("x/y", "")], {"A": "1"}, ["a"])


@pytest.mark.parametrize(
    ("command", "started"),
    [
        ("/cnb/process/web", ["/cnb/process/web"]),
        ("rake db:migrate && ls", ["/cnb/lifecycle/launcher", "rake db:migrate && ls"]),
    ],
)
def test_commands_go_through_the_launcher(command, started):
    known = {"id": "1", "app": "a", "dyno": "web.1", "slug": "", "env": {}, "slot": 1}
    assert argv(ProcessSpec(**known, command=command, image="sha256:1", stack="cnb")) == (started, [])
