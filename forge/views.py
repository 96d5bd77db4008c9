"""Where hosts send hooks."""

from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from core import bodies
from core.errors import Refusal
from forge.receiving import receive


@csrf_exempt
@require_POST
def hooks(request: HttpRequest, repository_id: UUID) -> JsonResponse:
    """Take a hook, and say what came of it to whoever reads the host's list of deliveries."""
    try:
        body = bodies.file_of(request).read(settings.HOOK_BYTES + 1)
        if len(body) > settings.HOOK_BYTES:
            raise Refusal("The hook is too large.", status=413, id="too_large")
        receipt = receive(repository_id, request.headers, body)
    except Refusal as no:
        return JsonResponse({"id": no.id, "message": no.message}, status=no.status)
    return JsonResponse({"caused": receipt.caused if receipt else ["Taken before: nothing was done again."]})
