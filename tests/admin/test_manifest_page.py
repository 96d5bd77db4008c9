"""Operators load a partner's manifest, and try the partner out before."""

import json

from addons.models import AddonService, Partner
from core.models import Event
from tests.addons.test_partners import allowed, manifest_at, sample  # noqa: F401

HERE = "/admin/manifest/"


def text_of(answer):
    return " ".join(answer.text.split())


def test_what_is_wrong_is_said_and_nothing_typed_is_lost(operator, client):
    answer = client.post(HERE, {"manifest": '{"id": "<b>"', "world": "production"})
    assert answer.status_code == 422
    assert "The manifest is no JSON in line 1." in text_of(answer)
    assert "{&quot;id&quot;: &quot;&lt;b&gt;&quot;" in answer.text and "<b>" not in answer.text


def test_it_is_checked_and_then_offered(operator, client):
    typed = {"manifest": manifest_at("http://partner.example"), "world": "test"}
    shown = text_of(client.post(HERE, typed))
    assert "http://partner.example/heroku/resources" in shown and "NOTES_TOKEN" in shown
    assert "It is not there yet." in shown and not Partner.objects.exists()
    answer = client.post(f"{HERE}offer/", typed, follow=True)
    assert "Notes can be ordered." in answer.text
    assert AddonService.objects.get(name="notes").by_partner
    assert Event.objects.get(verb="loaded the manifest of").by == operator
    assert "would be brought up to date" in text_of(client.post(HERE, typed))


def test_a_service_of_slipways_own_is_not_taken_over(operator, client):
    told = json.loads(manifest_at("http://partner.example"))
    told |= {"id": "mailer", "api": told["api"] | {"config_vars": ["MAILER_URL"]}}
    answer = client.post(f"{HERE}offer/", {"manifest": json.dumps(told), "world": "test"})
    assert answer.status_code == 422 and "a service of Slipway&#x27;s own" in answer.text


def test_the_partner_is_tried_step_by_step(operator, client, sample):  # noqa: F811
    typed = {"manifest": manifest_at(sample), "world": "production"}
    titles = ["Refuse a wrong password", "Provision", "Provision once more, with the same UUID"]
    for number, title in enumerate(titles, 1):
        answer = client.post(f"{HERE}trial/", typed)
        assert [step.title for step in answer.context["draft"].done][-1] == title
        assert len(answer.context["draft"].done) == number
        typed["trial"] = answer.context["draft"].state
    assert "NOTES_TOKEN, NOTES_URL" in answer.text and "https://notes.example" not in answer.text
    answer = client.post(f"{HERE}trial/", typed | {"rest": ""})
    steps = answer.context["draft"].done
    assert len(steps) == 8 and all(step.fine for step in steps)
    assert "All answers are as they must be" in answer.text and not Partner.objects.exists()
    other = client.post(f"{HERE}trial/", typed | {"world": "test"})
    assert len(other.context["draft"].done) == 1, "another manifest begins anew"


def test_a_partner_that_fails_is_asked_to_remove_and_no_more(operator, client, sample):  # noqa: F811
    told = json.loads(manifest_at(sample))
    told["api"]["password"] = "another-password"
    answer = client.post(f"{HERE}trial/", {"manifest": json.dumps(told), "world": "test", "rest": ""})
    names = [(step.name, step.fine) for step in answer.context["draft"].done]
    assert names == [("password", True), ("provision", False), ("remove", False), ("remove-again", False)]
    assert "does not accept the password" in answer.text and "3 answers not as must be" in text_of(answer)


def test_a_file_goes_before_what_is_typed(operator, client, tmp_path):
    file = tmp_path / "manifest.json"
    file.write_text(manifest_at("http://partner.example"))
    with file.open("rb") as opened:
        answer = client.post(HERE, {"manifest": "{", "world": "test", "file": opened})
    assert answer.status_code == 200 and answer.context["draft"].manifest.id == "notes"


def test_to_others_it_is_not_there(alice, client):
    client.force_login(alice)
    for path in (HERE, f"{HERE}trial/", f"{HERE}offer/"):
        assert (
            client.post(path, {"manifest": manifest_at("http://partner.example")}, follow=True).status_code
            == 404
        )
    assert not Partner.objects.exists()
