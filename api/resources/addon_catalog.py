"""What add-ons there are to be had: services and their plans."""

from django.http import HttpRequest
from ninja import Router

from addons import catalog
from addons.models import Plan
from api.shapes.addons import PlanOut, ServiceOut

router = Router(tags=["Add-ons"])


@router.get("/addon-services", response=list[ServiceOut])
def services(request: HttpRequest) -> list[ServiceOut]:
    """What can be provisioned. What can't be on this Slipway has the state `shutdown`, and says why."""
    return [ServiceOut.of(row) for row in catalog.services()]


@router.get("/addon-services/{ref}", response=ServiceOut)
def service(request: HttpRequest, ref: str) -> ServiceOut:
    """One service, by name or id."""
    return ServiceOut.of(catalog.service_called(ref))


@router.get("/addon-services/{ref}/plans", response=list[PlanOut])
def plans(request: HttpRequest, ref: str) -> list[PlanOut]:
    """The plans of a service that can be chosen."""
    rows = catalog.service_called(ref).plans.filter(state=Plan.State.PUBLIC).select_related("service")
    return [PlanOut.of(row) for row in rows]


@router.get("/addon-services/{ref}/plans/{plan}", response=PlanOut)
def plan_of_service(request: HttpRequest, ref: str, plan: str) -> PlanOut:
    """One plan of a service, by name or id."""
    return PlanOut.of(catalog.plan_called(plan, service=catalog.service_called(ref)))


@router.get("/plans/{ref}", response=PlanOut)
def plan(request: HttpRequest, ref: str) -> PlanOut:
    """One plan, by name or id."""
    return PlanOut.of(catalog.plan_called(ref))
