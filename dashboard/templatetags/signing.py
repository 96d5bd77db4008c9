"""What pages of allauth's own views need to know of ours."""

from django import template

from dashboard.views.sign_in import elsewhere

register = template.Library()
register.simple_tag(elsewhere, name="ways_elsewhere")
