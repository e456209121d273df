"""Hook: an imported OpenAPI document brings its gateway responses along.

API Gateway takes `x-amazon-apigateway-gateway-responses` from the document: what it answers itself (no credential, no
such route) then has the body that the document says. MiniStack knows gateway responses, but not in an import.
"""

from __future__ import annotations

from ..seam import need, replace

HOOK = "gateway responses"
_MEMBER = "x-amazon-apigateway-gateway-responses"


def install() -> None:
    before = need("services.apigateway_v1", "_import_rest_api", HOOK)
    put = need("services.apigateway_v1", "_put_gateway_response", HOOK)

    def with_gateway_responses(spec, base_data=None):
        api_id = before(spec, base_data)
        for kind, answer in (spec.get(_MEMBER) or {}).items():
            status, _, body = put(api_id, kind, answer)
            if status >= 400:
                raise ValueError(f"{_MEMBER}.{kind}: {body!r}")
        return api_id

    replace("services.apigateway_v1", "_import_rest_api", with_gateway_responses, HOOK)
