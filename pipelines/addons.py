"""Add-ons as stages and pipelines see them: whose config an attachment would tell, and who may decide that."""

from accounts.models import User
from addons import access
from addons.models import Addon, Attachment, Plan
from apps import access as app_access
from apps.models import App
from pipelines.access import demand_config

__all__ = ["addon_for", "app_to_attach", "app_to_order", "attachment_to_detach"]


def app_to_order(user: User, ref: str, plan: Plan) -> App:
    """The app, for `user` to order an add-on of this plan for: it changes the app's config, and may cost something."""
    return demand_open(user, app_access.app_for(user, ref, to=access.right_to_have(plan)))


def addon_for(user: User, addon: Addon) -> Addon:
    """The add-on, for `user` to change or give up what it is."""
    access.demand_right(user, addon, access.right_to_have(addon.plan))
    if addon.app is not None:
        demand_config(user, addon.app)
    return addon


def addon_to_share(user: User, addon: Addon) -> Addon:
    """The add-on, for `user` to attach it to apps, which then know what its owner knows of it."""
    access.demand_right(user, addon, access.DEPLOY)
    if addon.app is not None:
        demand_config(user, addon.app)
    return addon


def app_to_attach(user: User, ref: str) -> App:
    """The app, for `user` to attach something to."""
    return demand_open(user, app_access.app_for(user, ref, to=access.DEPLOY))


def attachment_to_detach(user: User, attachment: Attachment) -> Attachment:
    """The attachment, for `user` to take away."""
    app_to_attach(user, str(attachment.app_id))
    return attachment


def demand_open(user: User, app: App) -> App:
    """The app, if its stage lets `user` see and change its config."""
    demand_config(user, app)
    return app
