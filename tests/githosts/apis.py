"""The APIs of hosts, as far as Slipway asks them: hooks, statuses, comments and pull requests of one repository."""

import re
from urllib.parse import unquote


class Api:
    """One repository, kept in lists; who does not show the token is turned down."""

    base = ""
    full_name = "shop"

    def __init__(self, token):
        self.token, self.hooks, self.statuses, self.comments, self.pulls = token, {}, [], {}, {}
        self.calls, self.down, self.private, self.rights = [], 0, False, True
        self.number = 100

    def shown(self, headers):
        return headers.get("authorization") == f"Bearer {self.token}"

    def __call__(self, method, path, headers, body):
        self.calls.append((method, path))
        if self.down:
            self.down -= 1
            return 503, {}
        if not self.shown(headers):
            return 401, {"message": "Bad credentials"}
        for verb, pattern, answer in self.routes():
            found = re.fullmatch(self.base + pattern, unquote(path))
            if found and verb == method:
                if method != "GET" and not self.rights:
                    return 403, {"message": "Forbidden"}
                return answer(body, *found.groups())
        return 404, {"message": "Not Found"}

    def next(self):
        self.number += 1
        return self.number

    def add_hook(self, body):
        key = str(self.next())
        self.hooks[key] = body
        return 201, self.show_hook(key)

    def show_hook(self, key):
        return {"id": int(key), **self.hooks[key]}

    def list_hooks(self, body):
        return 200, [self.show_hook(key) for key in self.hooks]

    def drop_hook(self, body, key):
        return (204, {}) if self.hooks.pop(key, None) else (404, {})

    def add_status(self, body, commit):
        self.statuses.append({"commit": commit, **body})
        return 201, {}

    def list_comments(self, body, number):
        return 200, [self.show_comment(key) for key, one in self.comments.items() if one["pull"] == number]

    def add_comment(self, body, number):
        key = str(self.next())
        self.comments[key] = {"pull": number, "body": body["body"]}
        return 201, self.show_comment(key)

    def show_comment(self, key):
        return {"id": int(key), "body": self.comments[key]["body"]}

    def change_comment(self, body, key):
        if key not in self.comments:
            return 404, {}
        self.comments[key]["body"] = body["body"]
        return 200, self.show_comment(key)

    def list_pulls(self, body):
        return 200, [pull for pull in self.pulls.values() if pull.get("state") in ("open", "opened", "OPEN")]

    def show_pull(self, body, number):
        return (200, self.pulls[number]) if number in self.pulls else (404, {})


class Github(Api):
    base = "/api/v3/repos/shop"

    def routes(self):
        return [
            ("GET", "", lambda _: (200, {"full_name": "shop", "default_branch": "main", "private": False})),
            ("GET", "/hooks", self.list_hooks),
            ("POST", "/hooks", self.add_hook),
            ("DELETE", "/hooks/([^/]+)", self.drop_hook),
            ("POST", "/statuses/([0-9a-f]+)", self.add_status),
            ("GET", r"/issues/(\d+)/comments", self.list_comments),
            ("POST", r"/issues/(\d+)/comments", self.add_comment),
            ("PATCH", r"/issues/comments/(\d+)", self.change_comment),
            ("GET", "/pulls", self.list_pulls),
            ("GET", r"/pulls/(\d+)", self.show_pull),
        ]


class Gitea(Github):
    base = "/api/v1/repos/shop"

    def shown(self, headers):
        return headers.get("authorization") == f"token {self.token}"


class Gitlab(Api):
    base = "/api/v4/projects/shop"

    def shown(self, headers):
        return headers.get("private-token") == self.token

    def routes(self):
        notes = r"/merge_requests/(\d+)/notes"
        return [
            (
                "GET",
                "",
                lambda _: (
                    200,
                    {"path_with_namespace": "shop", "default_branch": "main", "visibility": "public"},
                ),
            ),
            ("GET", "/hooks", self.list_hooks),
            ("POST", "/hooks", self.add_hook),
            ("DELETE", "/hooks/([^/]+)", self.drop_hook),
            ("POST", "/statuses/([0-9a-f]+)", self.add_status),
            ("GET", notes, self.list_comments),
            ("POST", notes, self.add_comment),
            ("PUT", rf"{notes}/(\d+)", lambda body, number, key: self.change_comment(body, key)),
            ("GET", "/merge_requests", self.list_pulls),
            ("GET", r"/merge_requests/(\d+)", self.show_pull),
        ]

    def add_status(self, body, commit):
        if any(one["commit"] == commit and one["state"] == body["state"] for one in self.statuses):
            return 400, {"message": "Cannot transition status via :enqueue from :pending"}
        return super().add_status(body, commit)


class Bitbucket(Api):
    base = "/2.0/repositories/shop"

    def routes(self):
        comments = r"/pullrequests/(\d+)/comments"
        return [
            (
                "GET",
                "",
                lambda _: (200, {"full_name": "shop", "mainbranch": {"name": "main"}, "is_private": False}),
            ),
            ("GET", "/hooks", self.list_hooks),
            ("POST", "/hooks", self.add_hook),
            ("DELETE", "/hooks/([^/]+)", self.drop_hook),
            ("POST", "/commit/([0-9a-f]+)/statuses/build", self.add_status),
            ("GET", comments, self.list_comments),
            ("POST", comments, self.add_comment),
            ("PUT", rf"{comments}/(\d+)", lambda body, number, key: self.change_comment(body, key)),
            ("GET", "/pullrequests", lambda body: (200, {"values": self.list_pulls(body)[1]})),
            ("GET", r"/pullrequests/(\d+)", self.show_pull),
        ]

    def show_hook(self, key):
        return {"uuid": key, **self.hooks[key]}

    def list_hooks(self, body):
        return 200, {"values": super().list_hooks(body)[1]}

    def list_comments(self, body, number):
        return 200, {"values": super().list_comments(body, number)[1]}

    def add_comment(self, body, number):
        return super().add_comment({"body": body["content"]["raw"]}, number)

    def show_comment(self, key):
        return {"id": int(key), "content": {"raw": self.comments[key]["body"]}}

    def change_comment(self, body, key):
        return super().change_comment({"body": body["content"]["raw"]}, key)


HOSTS = {"github": Github, "gitea": Gitea, "gitlab": Gitlab, "bitbucket": Bitbucket}
