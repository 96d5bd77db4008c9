"""One page that tells who answered: the release, the dyno, the commit."""

import os

from flask import Flask, jsonify, render_template

app = Flask(__name__)


def about() -> dict[str, str]:
    return {
        "greeting": os.environ.get("GREETING", "Hello from Slipway"),
        "app": os.environ.get("SLIPWAY_APP_NAME", "this app"),
        "release": os.environ.get("SLIPWAY_RELEASE_VERSION", "v?"),
        "dyno": os.environ.get("DYNO", "web.?"),
        "commit": os.environ.get("SLIPWAY_SLUG_COMMIT", "")[:7],
    }


@app.get("/")
def home():
    return render_template("home.html", **about())


@app.get("/about.json")
def as_json():
    return jsonify(about())


@app.get("/healthz")
def healthz():
    return "ok\n"
