"""The addresses of the server."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

import fiat_jax
from fiat_jax.serving.metrics import CONTENT_TYPE, Metrics
from fiat_jax.serving.schemas import About, Answered, Asked, Wrong, sentence, why_unsendable
from fiat_jax.serving.service import Refusal, Service

_WRONG = {
    413: "The body is too large, or has too many rows.",
    422: "The request is not as expected, or does not fit the model.",
    500: "Decoding has failed.",
    502: "The reasoner gave no rationale.",
    503: "The server is loading, stopping or full; Retry-After says when to try again.",
    504: "There was no answer in time.",
}

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def make_app(service: Service, about: About) -> FastAPI:
    """The application.

    Args:
      service: what answers.
      about: what is served.
    """
    app = FastAPI(
        title="fiat serve",
        version=fiat_jax.__version__,
        description=f"Answers rows of the task {about.task!r} with {about.model}.",
        max_body_size=service.limits.body_bytes,
        redoc_url=None,
    )
    app.add_middleware(_Counted, metrics=service.metrics)
    _explain_refusals(app)
    row = {field: "..." for field in about.fields}
    examples: Any = {
        "one row": {"value": {"inputs": row}},
        "rows": {"value": {"inputs": [row, row], "adapter": about.adapters[0], "seed": 0}},
    }

    @app.post(
        "/answer",
        responses=_described(*_WRONG),
        response_model=list[Answered],
        response_model_exclude_none=True,
    )
    async def answer(asked: Annotated[Asked, Body(openapi_examples=examples)], request: Request) -> Any:
        """Answers rows, in order: all of them, or none."""
        rows = asked.rows()
        if (wrong := why_unsendable(rows)) is not None:
            raise Refusal(422, wrong)
        return await service.answer(rows, asked.adapter, asked.seed, partial(_hung_up, request.receive))

    @app.get("/health", responses=_described(503))
    async def health() -> dict[str, str]:
        """Whether requests are accepted."""
        if (reason := service.health()) is not None:
            raise Refusal(503, f"not ready: {reason}.", retry_after=1)
        return {"status": "ready"}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Counts, in Prometheus's text format."""
        return Response(service.metrics.text(service.gauges()), media_type=CONTENT_TYPE)

    @app.get("/")
    async def root() -> About:
        """What is served."""
        return about

    return app


def _described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": Wrong, "description": _WRONG[status]} for status in statuses}


async def _hung_up(receive: Receive) -> None:
    """Returns when the caller has closed the connection; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _explain_refusals(app: FastAPI) -> None:
    """Gives every failure the same shape: one sentence under 'error'."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, refusal: Refusal) -> Response:
        return _wrong(refusal.status, str(refusal), refusal.retry_after)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _wrong(422, sentence(error))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        return _wrong(error.status_code, str(error.detail))

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> Response:
        return _wrong(500, f"no answer: {type(error).__name__}; the server's log says more.")


def _wrong(status: int, why: str, retry_after: int | None = None) -> Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse({"error": why.encode(errors="replace").decode()}, status, headers)


class _Counted:
    """Counts the requests for answers that pass through, with status and time."""

    def __init__(self, app: Any, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/answer":
            await self._app(scope, receive, send)
            return
        started, status = time.monotonic(), 500

        async def noting(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            self._metrics.request(status, time.monotonic() - started)
