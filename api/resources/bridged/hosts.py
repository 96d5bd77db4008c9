"""The hosts whose names are fixed in the Heroku CLI's code."""

from api.resources.autoscaling import MONITORS

PARTICLEBOARD = "particleboard.heroku.com"
TELEX = "telex.heroku.com"
METRICS = "api.metrics.herokai.com"
KOLKRABBI = "kolkrabbi.heroku.com"
GITHUB = "api.github.com"
HOSTS = (PARTICLEBOARD, TELEX, METRICS, MONITORS, KOLKRABBI, GITHUB)
