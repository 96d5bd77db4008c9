"""Pipelines, couplings and promotions."""

from typing import Self
from uuid import UUID

from accounts.models import Team
from api.shapes.base import Named, Ref, Schema, Time, ref
from api.shapes.people import OwnerRef
from pipelines.models import Coupling, Pipeline, Promotion, PromotionTarget


class PipelineOut(Schema):
    """A pipeline."""

    id: UUID
    name: str
    owner: OwnerRef
    created_at: Time
    updated_at: Time
    generation: Named

    @classmethod
    def of(cls, pipeline: Pipeline) -> Self:
        kind = "team" if isinstance(pipeline.owner, Team) else "user"
        return cls(
            id=pipeline.pk,
            name=pipeline.name,
            owner=OwnerRef(id=pipeline.owner.pk, type=kind),
            created_at=pipeline.created_at,
            updated_at=pipeline.updated_at,
            generation=Named.fixed("generation", "cedar"),
        )


class CouplingOut(Schema):
    """An app in a stage. `stage` is the API's word; `stage_name` is the pipeline's own."""

    id: UUID
    app: Ref
    pipeline: Named
    stage: str
    stage_name: str
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, coupling: Coupling) -> Self:
        return cls(
            id=coupling.pk,
            app=Ref(id=coupling.app_id),
            pipeline=Named(id=coupling.pipeline_id, name=coupling.pipeline.name),
            stage=coupling.stage.word,
            stage_name=coupling.stage.name,
            created_at=coupling.created_at,
            updated_at=coupling.updated_at,
        )


class PromotionSource(Schema):
    """What is promoted."""

    app: Ref
    release: Ref


class PromotionOut(Schema):
    """A promotion."""

    id: UUID
    pipeline: Ref
    source: PromotionSource
    status: str
    created_at: Time
    updated_at: Time | None

    @classmethod
    def of(cls, promotion: Promotion) -> Self:
        return cls(
            id=promotion.pk,
            pipeline=Ref(id=promotion.pipeline_id),
            source=PromotionSource(app=Ref(id=promotion.source_id), release=Ref(id=promotion.release_id)),
            status=promotion.status,
            created_at=promotion.created_at,
            updated_at=promotion.completed_at or promotion.created_at,
        )


class TargetOut(Schema):
    """A promotion's way to one app."""

    id: UUID
    app: Ref
    pipeline_promotion: Ref
    release: Ref | None
    status: str
    error_message: str | None

    @classmethod
    def of(cls, target: PromotionTarget) -> Self:
        return cls(
            id=target.pk,
            app=Ref(id=target.app_id),
            pipeline_promotion=Ref(id=target.promotion_id),
            release=ref(target.release_id),
            status=target.public_status,
            error_message=target.reason or None,
        )
