"""SSH keys: kept and listed, and said to open nothing."""

import base64

import pytest

ED = b"\0\0\0\x0bssh-ed25519\0\0\0 "


def key(n=1, comment="me@laptop"):
    return f"ssh-ed25519 {base64.b64encode(ED + bytes([n]) * 32).decode()} {comment}".strip()


def test_a_key_is_added_listed_and_removed(api, as_charlie):
    answer = api.post("/account/keys", {"public_key": key() + "\n"})
    assert "git uses HTTPS" in answer.headers["Warning-Message"]
    made = answer.json()
    assert (made["comment"], made["email"], made["public_key"]) == ("me@laptop", "alice@example.com", key())
    assert made["fingerprint"].startswith("SHA256:")
    assert as_charlie.get("/account/keys").json() == []
    assert as_charlie.delete(f"/account/keys/{made['id']}").json()["resource"] == "key"
    assert "already" in api.post("/account/keys", {"public_key": key(comment="again")}).json()["message"]
    assert api.delete(f"/account/keys/{made['id']}").status_code == 200
    assert api.get("/account/keys").json() == []


@pytest.mark.parametrize(
    "text",
    [
        "", "ssh-rsa A", "ssh-rsa !!!", key().replace("ssh-ed25519", "ssh-rsa"), key() + "\n" + key(2),
        "-----BEGIN OPENSSH PRIVATE KEY-----", "x" * 20_000, "ssh-ed25519 " + base64.b64encode(ED).decode(),
    ],
)  # fmt: skip
def test_what_is_no_public_key_is_refused(api, text):
    answer = api.post("/account/keys", {"public_key": text})
    assert answer.status_code == 422 and ".pub" in answer.json()["message"]
