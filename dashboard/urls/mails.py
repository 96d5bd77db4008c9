"""Inboxes of mailer add-ons."""

from django.urls import path

from dashboard.views import mails

HERE = "apps/<slug:name>/addons/<slug:addon>/mails/"

urlpatterns = [
    path(HERE, mails.inbox, name="inbox"),
    path(f"{HERE}removal/", mails.empty, name="inbox-removal"),
    path(f"{HERE}passwords/", mails.rotate, name="inbox-passwords"),
    path(f"{HERE}<uuid:mail_id>/", mails.show, name="mail"),
    path(f"{HERE}<uuid:mail_id>/html/", mails.html, name="mail-html"),
    path(f"{HERE}<uuid:mail_id>/source/", mails.source, name="mail-source"),
    path(f"{HERE}<uuid:mail_id>/attachments/<int:number>/", mails.attachment, name="mail-attachment"),
    path(f"{HERE}<uuid:mail_id>/removal/", mails.delete, name="mail-removal"),
]
