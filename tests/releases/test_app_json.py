"""What an app.json asks for: every key, environments laid over, and whatever can be wrong with it."""

import json
import time

import pytest

from core.errors import BuildFailed
from engine.builder.procfile import parse_app_json
from releases.app_json import AppJson, Var, merged, read

WHOLE = {
    "$schema": "https://example.com/app.json",
    "name": "Small Sharp Tool",
    "description": "One little thing, well.",
    "keywords": ["productivity"],
    "website": "https://example.com/",
    "repository": "https://example.com/tool",
    "logo": "https://example.com/logo.svg",
    "success_url": "/welcome",
    "stack": "heroku-24",
    "image": "heroku/ruby",
    "scripts": {"postdeploy": "rake bootstrap", "pr-predestroy": {"command": "rake bye"}},
    "env": {
        "PLAIN": "text",
        "SECRET_TOKEN": {"description": "A key.", "generator": "secret"},
        "MUST": {"description": "Ask somebody."},
        "MAY": {"required": False},
        "GIVEN": {"value": "5"},
    },
    "formation": {"web": {"quantity": 2, "size": "Standard-2X"}, "worker": {"quantity": 1, "size": "hobby"}},
    "addons": ["heroku-postgresql", {"plan": "heroku-redis:mini", "as": "CACHE"}],
    "buildpacks": [{"url": "heroku/nodejs"}, {"url": "https://example.com/pack.git"}],
    "environments": {
        "review": {
            "env": {"PLAIN": "review", "MUST": "given"},
            "addons": ["heroku-postgresql:mini"],
            "formation": {"worker": {"quantity": 0}},
            "scripts": {"postdeploy": "rake seed"},
        },
        "test": {"scripts": {"test": "rake test", "test-setup": "rake setup"}, "env": {"TESTS": "1"}},
    },
}


def test_every_key_is_understood():
    found = read(WHOLE)
    assert (found.name, found.success_url, found.stack) == ("Small Sharp Tool", "/welcome", "heroku-24")
    assert found.env["PLAIN"] == Var("text")
    assert found.env["SECRET_TOKEN"] == Var(generated=True, description="A key.")
    assert found.env["MAY"] == Var(required=False)
    assert found.formation == {
        "web": {"quantity": 2, "size": "standard-2x"},
        "worker": {"quantity": 1, "size": "basic"},
    }
    assert found.buildpacks == ("heroku/nodejs", "https://example.com/pack.git")
    assert found.scripts == {"postdeploy": "rake bootstrap", "pr-predestroy": "rake bye"}
    assert len(found.addons) == 2
    assert (found.warnings, found.errors) == ((), ())


def test_an_environment_is_laid_over_key_by_key_and_lists_as_a_whole():
    found = read(WHOLE, "review")
    assert found.env["PLAIN"].value == "review" and found.env["GIVEN"].value == "5"
    assert found.addons == ["heroku-postgresql:mini"]
    assert found.formation["worker"]["quantity"] == 0 and found.formation["web"]["quantity"] == 2
    assert found.scripts == {"postdeploy": "rake seed", "pr-predestroy": "rake bye"}
    assert read(WHOLE, "test").scripts["test"] == "rake test"
    assert merged(WHOLE, "") == {key: WHOLE[key] for key in WHOLE if key != "environments"}


def test_it_gives_values_and_makes_secrets_but_leaves_what_is_there():
    found = read(WHOLE)
    one, other = found.values(), found.values()
    assert one["PLAIN"] == "text" and one["GIVEN"] == "5" and "MAY" not in one and "MUST" not in one
    assert len(one["SECRET_TOKEN"]) == 128 and one["SECRET_TOKEN"] != other["SECRET_TOKEN"]
    assert "PLAIN" not in found.values(without={"PLAIN"})


def test_it_names_what_is_required_and_missing():
    assert read(WHOLE).missing({"PLAIN"}) == ["MUST"]
    assert read(WHOLE).missing({"MUST"}) == [] == read(WHOLE, "review").missing(())
    assert read(WHOLE).required == ["PLAIN", "SECRET_TOKEN", "MUST", "GIVEN"]


@pytest.mark.parametrize(
    ("app_json", "said"),
    [
        ({"colour": "red"}, "app.json: colour is unknown here"),
        ({"env": {"KEY": {"valu": "x"}}}, "app.json: env.KEY.valu is unknown here"),
        ({"scripts": {"predeploy": "x"}}, "app.json: scripts.predeploy is unknown here"),
        ({"environments": {"review": {"adons": []}}}, "app.json: environments.review.adons is unknown here"),
        ({"formation": {"web": {"size": "private-s"}}}, "app.json: formation.web.size is no size here"),
        ({"name": 7}, "app.json: name has to be text"),
    ],
)
def test_what_is_unknown_is_told_of_and_hinders_nothing(app_json, said):
    found = read(app_json)
    assert found.errors == () and found.warnings[0].startswith(said)


@pytest.mark.parametrize(
    ("app_json", "said"),
    [
        ({"env": []}, "app.json: env has to be an object."),
        ({"env": {"1X": "a"}}, "app.json: env.1X can't be: “1X” can't be a config var"),
        ({"env": {"PORT": "80"}}, "app.json: env.PORT can't be"),
        ({"env": {"KEY": 7}}, "app.json: env.KEY has to be text, or an object"),
        ({"env": {"KEY": {"value": 7}}}, "app.json: env.KEY.value has to be text."),
        ({"env": {"KEY": {"required": "no"}}}, "app.json: env.KEY.required has to be true or false."),
        ({"env": {"KEY": {"generator": "uuid"}}}, "app.json: env.KEY.generator has to be “secret”"),
        ({"formation": {"web": 1}}, "app.json: formation.web has to be a process type"),
        ({"formation": {"web": {"quantity": -1}}}, "app.json: formation.web.quantity has to be a number"),
        ({"formation": {"web": {"quantity": True}}}, "app.json: formation.web.quantity has to be a number"),
        ({"buildpacks": "heroku/nodejs"}, "app.json: buildpacks has to be a list."),
        ({"buildpacks": [{}]}, "app.json: buildpacks[0] has to be an object with the url"),
        ({"buildpacks": [{"url": "a b"}]}, "app.json: buildpacks can't be"),
        ({"scripts": {"postdeploy": ["x"]}}, "app.json: scripts.postdeploy has to be a command"),
        ({"environments": []}, "app.json: environments has to be an object."),
        ({"environments": {"review": 7}}, "app.json: environments.review has to be an object."),
        ({"env": {f"K{n}": "" for n in range(300)}}, "app.json: env has more than 200 entries."),
    ],
)
def test_what_cannot_be_is_an_error_with_its_place(app_json, said):
    assert read(app_json).errors[0].startswith(said)


def test_dokkus_dialect_does_no_harm():
    found = read(
        {
            "cron": [{"command": "x", "schedule": "@daily"}],
            "healthchecks": {"web": []},
            "scripts": {"dokku": {"predeploy": "x"}},
            "env": {"A": {"value": "1", "sync": True}},
            "formation": {"web": {"quantity": 1, "max_parallel": 2, "autoscaling": {}}},
        }
    )
    assert found.warnings == found.errors == ()


def test_an_empty_one_asks_for_nothing():
    assert read({}) == AppJson()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (json.dumps({"description": "x" * 5_000_000}), "app.json is over 256 kB. Leave out"),
        ('{"a":' * 1000 + "1" + "}" * 1000, "app.json is nested too deeply: 64 levels are the most."),
        ('{"a":' * 100 + "1" + "}" * 100, "app.json is nested too deeply: 64 levels are the most."),
        ('{"a":' + "[" * 100_000, "app.json is nested too deeply: 64 levels are the most."),
        ('{"a": ' + "9" * 10_000 + "}", "app.json has a number that is too long."),
        ('{"a": NaN}', "app.json: NaN is no number that can be kept."),
    ],
)
def test_what_is_too_much_is_refused_at_once(text, said):
    began = time.perf_counter()
    with pytest.raises(BuildFailed, match=said):
        parse_app_json(text.encode())
    assert time.perf_counter() - began < 0.1


def test_a_hostile_name_is_shown_and_never_obeyed():
    [warning] = read({"\x1b[31mred\n" + "x" * 500: 1}).warnings
    assert "\x1b" not in warning and "\n" not in warning and len(warning) < 150
