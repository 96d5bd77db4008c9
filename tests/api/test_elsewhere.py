"""What the CLI asks of other hosts: sign-in by browser, status, buildpack registry."""

import json
import os
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient, Client
from django.utils import timezone

from accounts import cli_sign_in
from accounts.models import ApiToken, CliSignIn


def ask(client=None):
    answer = (client or Client()).post(
        "/auth", '{"description": "CLI from laptop"}', content_type="application/json"
    )
    assert answer.status_code == 201
    return answer.json()


async def told(asked):
    answer = await AsyncClient().get(asked["cli_url"], headers={"Authorization": f"Bearer {asked['token']}"})
    return json.loads(b"".join([part async for part in answer.streaming_content]))


@pytest.mark.django_db(transaction=True)
async def test_the_cli_gets_a_token_once_its_person_has_said_yes(alice, client):
    asked = await sync_to_async(ask)()
    assert (
        await sync_to_async(client.get)(asked["browser_url"])
    ).status_code == 302  # signed out: sign in first
    await sync_to_async(client.force_login)(alice)
    page = await sync_to_async(client.get)(asked["browser_url"])
    assert "CLI from laptop" in page.content.decode()
    proof = await sync_to_async(client.post)(f"{asked['browser_url']}approval/")
    assert proof.status_code == 302 and proof.url.startswith("/account/confirm/")
    assert not await sync_to_async(ApiToken.objects.exists)()  # a browser left open lets nobody in
    done = await sync_to_async(client.post)(proof.url, {"password": "a fine password"})
    assert "signed in" in done.content.decode()
    found = await told(asked)
    token = await sync_to_async(ApiToken.objects.presented)(found["access_token"])
    assert (token.user_id, token.description) == (alice.pk, "CLI from laptop")
    assert "error" in await told(asked)  # told once
    assert (await sync_to_async(client.post)(f"{asked['browser_url']}approval/")).status_code == 404


@pytest.mark.django_db(transaction=True)
async def test_a_refused_cli_is_told(alice, client):
    asked = await sync_to_async(ask)()
    await sync_to_async(client.force_login)(alice)
    await sync_to_async(client.post)(f"{asked['browser_url']}refusal/")
    assert "refused" in (await told(asked))["error"]
    assert not await sync_to_async(ApiToken.objects.exists)()


@pytest.mark.django_db(transaction=True)
async def test_only_who_asked_is_told(alice):
    asked = await sync_to_async(ask)()
    question = await sync_to_async(CliSignIn.objects.get)()
    await sync_to_async(cli_sign_in.approve)(question, by=alice)
    assert "error" in await told({**asked, "token": "cli-wrong"})
    assert "access_token" in await told(asked)


def test_questions_end(db):
    ask()
    CliSignIn.objects.update(created_at=timezone.now() - timedelta(minutes=11))
    with pytest.raises(Exception, match="waited too long"):
        cli_sign_in.waiting(CliSignIn.objects.get().pk)
    ask()
    assert CliSignIn.objects.count() == 1  # the old one is cleared away


def test_one_address_cannot_keep_others_waiting(db):
    elsewhere = Client(REMOTE_ADDR="198.51.100.7")
    for _ in range(cli_sign_in.MOST_OF_ONE_ADDRESS):
        ask(elsewhere)
    refused = elsewhere.post("/auth", "{}", content_type="application/json")
    assert (refused.status_code, refused.json()["id"]) == (429, "rate_limit")
    assert ask()["token"]


def test_status_follows_the_conductor(client, settings, tmp_path):
    settings.DATA = tmp_path

    def systems():
        found = client.get("/api/v4/current-status").json()
        return {row["system"]: row["status"] for row in found["status"]}

    assert systems()["Apps"] == "red"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "status.json").write_text("{}")
    assert systems() == {"Apps": "green", "Data": "green", "Tools": "green"}
    os.utime(tmp_path / "run" / "status.json", (1, 1))
    assert systems()["Apps"] == "red"


def test_the_registry_names_ours_and_those_of_others(client):
    assert {row["name"] for row in client.get("/buildpacks").json()} >= {"python", "nodejs"}
    assert [row["name"] for row in client.get("/buildpacks?in[name][]=python").json()] == ["python"]
    assert client.get("/buildpacks/heroku%2Fpython").json()["blob_url"].endswith("/heroku/python.tgz")
    assert client.get("/buildpacks/someone%2Felse/readme").json()["encoding"] == "utf-8"
    assert client.get("/buildpacks/python").status_code == 404
    assert client.get("/buildpacks/..%2F..%2Fetc").status_code == 404


def test_bad_questions(client, db):
    assert client.post("/auth", "{", content_type="application/json").status_code == 400
    assert client.get("/auth").status_code == 405
