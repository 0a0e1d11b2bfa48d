#!/usr/bin/env python3
"""A server that misbehaves on demand, for what a healthy one does not show: slow pieces, errors, replaced answers,
wrong keys. It serves web/ and speaks the page's protocol; a "translation" is the text in capitals with the target's
code in front.

    stand_in.py --port 0 [--key KEY] [--delay SECONDS]     prints "listening on PORT"

The text decides what happens: "fail" gets an error, "busy" a 429 twice, "retry" a replaced answer, "hang" never ends,
"gloss" uses the glossary, "vary" differs with the seed.
"""

import argparse
import asyncio
import json
import pathlib
import time

from aiohttp import WSMsgType, web

WEB = pathlib.Path(__file__).resolve().parents[2] / "web"
CONTENT_SECURITY_POLICY = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:"
NAMES = {
    "zh": "Chinese",
    "en": "English",
    "fr": "French",
    "pt": "Portuguese",
    "es": "Spanish",
    "ja": "Japanese",
    "tr": "Turkish",
    "ru": "Russian",
    "ar": "Arabic",
    "ko": "Korean",
    "th": "Thai",
    "it": "Italian",
    "de": "German",
    "vi": "Vietnamese",
    "ms": "Malay",
    "id": "Indonesian",
    "tl": "Filipino",
    "hi": "Hindi",
    "zh-Hant": "Traditional Chinese",
    "pl": "Polish",
    "cs": "Czech",
    "nl": "Dutch",
    "km": "Khmer",
    "my": "Burmese",
    "fa": "Persian",
    "gu": "Gujarati",
    "ur": "Urdu",
    "te": "Telugu",
    "mr": "Marathi",
    "he": "Hebrew",
    "bn": "Bengali",
    "ta": "Tamil",
    "uk": "Ukrainian",
    "bo": "Tibetan",
    "kk": "Kazakh",
    "mn": "Mongolian",
    "ug": "Uyghur",
    "yue": "Cantonese",
}


class StandIn:
    def __init__(self, key, delay):
        self.key, self.delay = key, delay
        self.refusals, self.tokens, self.started = {}, 0, time.monotonic()
        self.requests = []

    def application(self):
        app = web.Application(middlewares=[self.check])
        app.add_routes(
            [
                web.get("/ws", self.socket),
                web.get("/health", self.health),
                web.get("/stats", self.stats),
                web.get("/languages", self.languages),
                web.post("/detect", self.detect),
                web.get("/seen", self.seen),
                web.get("/", self.page),
                web.get("/{name}", self.page),
            ]
        )
        return app

    @web.middleware
    async def check(self, request, handler):
        closed = request.path in ("/stats", "/languages", "/detect", "/ws")
        given = (request.query.get("token") if request.path == "/ws" else None) or request.headers.get(
            "Authorization", ""
        ).removeprefix("Bearer ")
        if self.key and closed and given != self.key:
            error = {
                "code": 401,
                "type": "authentication_error",
                "message": "the API key is missing or not valid",
            }
            return web.json_response({"error": error}, status=401)
        return await handler(request)

    async def page(self, request):
        path = WEB / (request.match_info.get("name") or "index.html")
        if not path.is_file():
            raise web.HTTPNotFound()
        return web.FileResponse(path, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    async def health(self, request):
        return web.json_response(
            {
                "status": "ok",
                "model": "stand-in",
                "device": "no device",
                "running": 0,
                "waiting": 0,
                "kv_blocks": {"total": 4096, "used": 0, "cached": 0},
            }
        )

    async def stats(self, request):
        used, cached = 40 + self.tokens % 200, 900
        return web.json_response(
            {
                "model": "stand-in",
                "device": "no device",
                "version": "0",
                "uptime_seconds": time.monotonic() - self.started,
                "memory": [
                    {"tag": "weights", "bytes": 440 << 20},
                    {"tag": "kv_cache", "bytes": 256 << 20},
                    {"tag": "activations", "bytes": 60 << 20},
                    {"tag": "staging", "bytes": 3 << 20},
                ],
                "kv": {
                    "bytes": 256 << 20,
                    "block_tokens": 16,
                    "blocks_total": 4096,
                    "blocks_used": used,
                    "blocks_cached": cached,
                    "blocks_free": 4096 - used - cached,
                },
                "running": 1,
                "waiting": 0,
                "connections": 1,
                "preemptions": 0,
                "prompt_tokens": 100,
                "generated_tokens": self.tokens,
                "prefix_queries_tokens": 100,
                "prefix_hits_tokens": 40,
            }
        )

    async def languages(self, request):
        return web.json_response(
            [
                {"code": code, "name": name, "targets": [other for other in NAMES if other != code]}
                for code, name in NAMES.items()
            ]
        )

    async def detect(self, request):
        body = await request.json()
        return web.json_response([{"confidence": 90, "language": guess(body["q"])}])

    async def seen(self, request):
        """What the page has sent, for the tests."""
        return web.json_response(self.requests)

    async def socket(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        running = {}
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            self.requests.append(asked)
            if asked["type"] == "ping":
                await socket.send_json({"type": "pong"})
            elif asked["type"] == "cancel" and asked["id"] in running:
                running.pop(asked["id"]).cancel()
                await socket.send_json({"type": "cancelled", "id": asked["id"]})
            elif asked["type"] == "translate":
                task = asyncio.create_task(self.translate(socket, asked))
                running[asked["id"]] = task
                task.add_done_callback(lambda _, name=asked["id"]: running.pop(name, None))
        for task in running.values():
            task.cancel()
        return socket

    async def translate(self, socket, asked):
        text, name, began = asked["text"], asked["id"], time.monotonic()
        if "fail" in text:
            return await self.refuse(
                socket, name, 400, "invalid_request_error", "the stand-in was told to fail"
            )
        if "busy" in text and self.refusals.setdefault(text, 0) < 2:
            self.refusals[text] += 1
            return await self.refuse(socket, name, 429, "rate_limit_error", "too many requests")
        source = guess(text) if asked.get("from", "auto") == "auto" else asked["from"]
        await socket.send_json({"type": "start", "id": name, "from": source, "confidence": 0.98})
        if "hang" in text:
            return await asyncio.sleep(3600)
        if "retry" in text:
            await socket.send_json({"type": "delta", "id": name, "text": "nonsense"})
            await asyncio.sleep(self.delay)
            await socket.send_json({"type": "replace", "id": name, "text": ""})
        answer = self.answer(asked)
        pieces = [answer[at : at + 4] for at in range(0, len(answer), 4)]
        for piece in pieces:
            await asyncio.sleep(self.delay)
            self.tokens += 1
            await socket.send_json({"type": "delta", "id": name, "text": piece})
        missing = [term for term in asked.get("glossary", []) if term["target"] not in answer]
        spent = max(1e-3, time.monotonic() - began)
        await socket.send_json(
            {
                "type": "done",
                "id": name,
                "text": answer,
                "from": source,
                "retried": "retry" in text,
                "problems": ["missing_term"] if missing else [],
                "finish_reason": "stop",
                "usage": {"prompt_tokens": 30, "completion_tokens": len(pieces), "cached_tokens": 16},
                "generation_time": spent,
                "time_to_first_token": self.delay,
                "tokens_per_second": len(pieces) / spent,
            }
        )

    @staticmethod
    def answer(asked):
        text = asked["text"].upper()
        if "GLOSS" in text:
            for term in asked.get("glossary", []):
                text = text.replace(term["source"].upper(), term["target"])
        if "VARY" in text:
            text += f" {asked.get('seed', 0)}"
        if asked["to"] in ("ar", "he"):
            return {"ar": "مرحبا بالعالم", "he": "שלום עולם"}[asked["to"]]
        return f"[{asked['to']}] {text}"

    @staticmethod
    async def refuse(socket, name, code, kind, message):
        await socket.send_json(
            {"type": "error", "id": name, "error": {"code": code, "type": kind, "message": message}}
        )


def guess(text):
    if any("\u0600" <= letter <= "\u06ff" for letter in text):
        return "ar"
    return "zh" if any("\u4e00" <= letter <= "\u9fff" for letter in text) else "en"


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", default="")
    parser.add_argument("--delay", type=float, default=0.01, help="seconds between pieces")
    flags = parser.parse_args()
    runner = web.AppRunner(StandIn(flags.key, flags.delay).application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", flags.port)
    await site.start()
    print("listening on", site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
