"""Add-ons name their plan by a row of the catalog. What the catalog does not know it learns, without a price."""

from typing import Any

from django.db import migrations

from core import names


def name_plans(apps: Any, schema_editor: Any) -> None:
    service_model, plan_model = (apps.get_model("addons", name) for name in ("AddonService", "Plan"))
    for addon in apps.get_model("addons", "Addon").objects.all():
        service, plan = addon.old_service, addon.old_plan.removeprefix(f"{addon.old_service}:")
        stem = service.removeprefix("heroku-")
        known, _ = service_model.objects.get_or_create(
            name=service,
            defaults={
                "id": names.fixed("addon-service", service),
                "human_name": service,
                "stem": stem,
                "first_name": stem.replace("-", "_").upper(),
                "further_name": stem.replace("-", "_").upper(),
                "config": ["URL"],
            },
        )
        addon.plan, _ = plan_model.objects.get_or_create(
            service=known,
            name=plan,
            defaults={"id": names.fixed("plan", f"{service}:{plan}"), "human_name": plan},
        )
        addon.save(update_fields=["plan"])


class Migration(migrations.Migration):
    dependencies = [("addons", "0002_catalog")]

    operations = [migrations.RunPython(name_plans, migrations.RunPython.noop)]
