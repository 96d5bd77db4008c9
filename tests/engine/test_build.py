"""The contract of classic buildpacks, and what an app says of itself."""

import pytest

from core.errors import BuildFailed
from tests.engine.workshop import Workshop, tar


@pytest.fixture
def shop(tmp_path):
    return Workshop(tmp_path / "data")


def test_a_procfile_is_enough(shop):
    result = shop.build(
        {"Procfile": "# what runs\n\nweb: ./serve --port $PORT\nworker: ./work\n", "serve": "#!"}
    )
    assert result.process_types == {"web": "./serve --port $PORT", "worker": "./work"}
    assert result.buildpacks == ["Procfile"]
    assert shop.steps == ["fetch", "detect", "compile", "slug"]
    assert (shop.tree() / "serve").read_text() == "#!"
    assert "Procfile declares types -> web, worker" in shop.output
    assert not shop.last.work.exists()


def test_a_buildpack_gets_build_cache_and_env_dir(shop):
    env = {"GREETING": "two\nlines"}
    result = shop.build({"one": "", "Procfile": "web: mine"}, buildpacks=["one"], env=env)
    assert "-----> Number One app detected" in shop.output
    assert "-----> Compiling with 3 arguments on slipway-24" in shop.output
    assert "built 1 times" in shop.output
    assert "and 'unset' in the environment" in shop.output
    assert result.process_types == {"web": "mine", "first": "only of one"}
    assert (shop.tree() / ".profile.d/one.sh").read_text() == "export FROM_ONE=1\n"
    shop.build({"one": ""}, buildpacks=["one"])
    assert "built 2 times" in shop.output


def test_a_build_command_runs_after_the_buildpacks_with_config_and_profile(shop):
    files = {"one": "", "Procfile": "web: mine"}
    command = 'echo "$GREETING from ${FROM_ONE}; $0" > made && test ! -e "$HOME/one.pyc"'
    result = shop.build(files, buildpacks=["one"], env={"GREETING": "hello"}, command=command)
    assert (shop.tree() / "made").read_text() == "hello from 1; /bin/bash\n"
    assert shop.output.index("-----> Compiling") < shop.output.index(f"-----> Running {command}")
    assert result.process_types["web"] == "mine"
    with pytest.raises(BuildFailed, match="The build command failed with exit code 3: exit 3"):
        shop.build(files, buildpacks=["one"], command="exit 3")


def test_several_buildpacks_run_in_order(shop):
    result = shop.build({"one": ""}, buildpacks=["one", "two"])
    assert "FROM_ONE=yes and no" in shop.output
    assert "PATH=/opt/one/bin:" in shop.output
    assert result.buildpacks == ["Number One", "Number Two"]
    assert result.process_types == {"web": "two --serve", "worker": "two --work"}


def test_a_buildpack_that_does_not_fit_is_told(shop):
    with pytest.raises(BuildFailed, match="The buildpack one does not fit this app"):
        shop.build({"README": ""}, buildpacks=["one"])


def test_a_buildpack_that_fails_is_told(shop):
    with pytest.raises(BuildFailed, match=r"Number Two failed \(bin/compile: exit status 3\)"):
        shop.look("exit 3")
    assert not shop.last.work.exists()


def test_a_dockerfile_is_no_code_for_buildpacks(shop):
    with pytest.raises(BuildFailed, match=r"there is a Dockerfile.*stack is container"):
        shop.build({"Dockerfile": "FROM x\n"})


def test_nothing_fits(shop):
    with pytest.raises(BuildFailed) as caught:
        shop.build({"README": ""})
    for name in ("requirements.txt", "package.json", "index.html", "Procfile"):
        assert name in str(caught.value)


def test_a_language_without_a_buildpack_is_told(shop):
    files = {"Procfile": "web: bundle exec puma", "Gemfile": ""}
    with pytest.raises(
        BuildFailed, match="There is a Gemfile, and no buildpack for Ruby comes with the platform"
    ):
        shop.build(files)
    assert shop.build(files, buildpacks=["procfile"]).buildpacks == ["Procfile"]


@pytest.mark.parametrize("name", ["absent", "../one", "-x", "Heroku/Ruby"])
def test_an_unknown_buildpack_is_told(shop, name):
    with pytest.raises(BuildFailed, match="There is no buildpack called"):
        shop.build({"Procfile": "web: x"}, buildpacks=[name])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("web: x\nnonsense\n", "Line 2 of the Procfile is not `type: command`: nonsense"),
        ("web:\n", "Line 1 of the Procfile"),
        ("we b: x", "Line 1 of the Procfile"),
        ("wéb: x", "Line 1 of the Procfile"),
        ("web: x\n\nweb: y", "Line 3 of the Procfile repeats the process type web"),
        (b"web: \xff\xfe", "The Procfile is not UTF-8 text"),
    ],
)
def test_a_wrong_procfile_names_its_line(shop, text, reason):
    with pytest.raises(BuildFailed, match=reason):
        shop.build({"Procfile": text})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{\n  "name": "x",\n  oops\n}', "app.json, line 3, column 3"),
        ("[]", "app.json has to be an object"),
        ("[" * 200_000, "app.json is nested too deeply"),
    ],
)
def test_a_wrong_app_json_names_its_place(shop, text, reason):
    with pytest.raises(BuildFailed, match=reason):
        shop.build({"Procfile": "web: x", "app.json": text})


def test_slugignore_and_what_no_slug_has(shop):
    files = {
        "Procfile": "web: x",
        ".slugignore": "*.psd\n/docs\nspec/\n# a comment\ndeep/only.txt\n",
        "art.psd": "", "deep/art.psd": "", "deep/only.txt": "", "deep/kept.txt": "", "docs/a": "", "deep/docs/a": "",
        "spec/a": "", "tmp/x": "", "log/x": "", "lib/log/x": "", ".git/HEAD": "",
    }  # fmt: skip
    shop.build(files)
    left = {str(path.relative_to(shop.tree())) for path in shop.tree().rglob("*") if path.is_file()}
    assert left == {"Procfile", ".slugignore", "deep/kept.txt", "deep/docs/a", "lib/log/x"}


def test_slugignore_cannot_take_back(shop):
    with pytest.raises(BuildFailed, match=r"\.slugignore cannot take files back in: !keep"):
        shop.build({"Procfile": "web: x", ".slugignore": "*\n!keep"})


def test_the_same_source_makes_the_same_slug(shop):
    files = {"Procfile": "web: x", "b": "1", "a/c": "#!2"}
    first = shop.build(files).digest
    assert shop.build(dict(reversed(files.items()))).digest == first


def test_output_that_is_not_utf8_passes_as_bytes(shop):
    shop.look(r"printf 'caf\351\r\nno newline'")
    assert b"caf\xe9" in shop.lines
    assert any(line.startswith(b"no newline") for line in shop.lines)


def test_long_lines_are_cut(shop):
    shop.look("head -c 25000 /dev/zero | tr '\\0' x; echo; echo after")
    assert [len(line) for line in shop.lines if line.startswith(b"x")] == [10_000, 10_000, 5_000]
    assert b"after" in shop.lines


def test_an_archive_that_is_none(shop):
    with pytest.raises(BuildFailed, match="damaged or not a tar archive"):
        shop.build(b"<html>not found</html>" * 100)


def test_a_source_with_a_link_out(shop, tmp_path):
    from tests.engine.workshop import entry

    link = entry("x", b"2", linkname="/etc/shadow")
    with pytest.raises(BuildFailed, match="The archive has a link that leaves it: x -> /etc/shadow"):
        shop.build(tar({"Procfile": "web: x", "x": link}))
