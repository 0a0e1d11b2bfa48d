"""openai_python_test.py URL: what programs do with OpenAI's Python client. Ends with an exception where something is wrong."""

import asyncio
import sys

import openai

URL = sys.argv[1]
PROMPT = "Translate the following segment into French, without additional explanation.\n\nThe weather is nice today."
MESSAGES = [{"role": "user", "content": PROMPT}]

client = openai.OpenAI(base_url=URL + "/v1", api_key="test-key", max_retries=0)


def expect(condition, *what):
    if not condition:
        raise AssertionError(what)


def refused(kind, **request):
    try:
        client.chat.completions.create(**{"model": model, "messages": MESSAGES, **request})
    except kind as error:
        return error
    raise AssertionError(f"{request} was not refused")


# Models.
models = list(client.models.list())
expect(len(models) == 1, models)
model = models[0].id
expect(client.models.retrieve(model).object == "model")

# A chat, whole.
answer = client.chat.completions.create(model=model, messages=MESSAGES, temperature=0)
text = answer.choices[0].message.content
expect("temps" in text or "beau" in text, text)
expect(answer.object == "chat.completion" and answer.choices[0].finish_reason == "stop", answer)
expect(answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens, answer.usage)
again = client.chat.completions.create(model=model, messages=MESSAGES, temperature=0)
expect(again.choices[0].message.content == text, again)
expect(again.usage.prompt_tokens_details.cached_tokens > 0, again.usage)

# The same, streamed.
pieces = list(
    client.chat.completions.create(
        model=model, messages=MESSAGES, temperature=0, stream=True, stream_options={"include_usage": True}
    )
)
expect(pieces[0].choices[0].delta.role == "assistant", pieces[0])
expect("".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == text, pieces)
expect([p.choices[0].finish_reason for p in pieces if p.choices][-1] == "stop", pieces)
expect(pieces[-1].choices == [] and pieces[-1].usage.completion_tokens == answer.usage.completion_tokens, pieces[-1])
expect(all(p.usage is None for p in pieces[:-1]), pieces)

# The client's own accumulator of streams.
with client.chat.completions.stream(model=model, messages=MESSAGES, temperature=0) as stream:
    final = stream.get_final_completion()
expect(final.choices[0].message.content == text, final)

# Several choices, seeds, extensions.
sample = dict(model=model, messages=MESSAGES, temperature=1.0, n=3, seed=7, max_completion_tokens=8, stop=["\n", "##"])
sample["extra_body"] = {"top_k": 50, "repetition_penalty": 1.05, "min_p": 0.01}
first = client.chat.completions.create(**sample)
second = client.chat.completions.create(**sample)
texts = [c.message.content for c in first.choices]
expect(len(texts) == 3 and texts == [c.message.content for c in second.choices], first, second)

# Logprobs.
scored = client.chat.completions.create(model=model, messages=MESSAGES, temperature=0, logprobs=True, top_logprobs=3)
tokens = scored.choices[0].logprobs.content
expect(b"".join(bytes(t.bytes) for t in tokens).decode() == text, tokens)
expect(all(len(t.top_logprobs) == 3 and t.logprob <= 0 for t in tokens), tokens)

# Completions.
done = client.completions.create(
    model=model, prompt=["Bonjour", [100, 101]], max_tokens=5, temperature=0, logprobs=2, echo=False
)
expect([c.index for c in done.choices] == [0, 1] and done.usage.completion_tokens == 10, done)
logprobs = done.choices[0].logprobs
expect(len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset) == 5, logprobs)
expect(all(len(top) >= 2 for top in logprobs.top_logprobs), logprobs)
streamed = client.completions.create(model=model, prompt="Bonjour", max_tokens=5, temperature=0, stream=True)
expect("".join(p.choices[0].text for p in streamed) == done.choices[0].text, done)

# Translation without a prompt.
translated = client.chat.completions.create(
    model=model,
    messages=[{"role": "user", "content": "The weather is nice today.\n\nI like dogs."}],
    extra_body={"translation_options": {"source_lang": "auto", "target_lang": "French"}},
)
lines = translated.choices[0].message.content.split("\n")
expect(len(lines) == 3 and lines[1] == "" and lines[0] and lines[2], lines)

# Refusals become the client's exceptions.
error = refused(openai.NotFoundError, model="gpt-4o")
expect(error.code == "model_not_found" and error.param == "model", error.body)
error = refused(openai.BadRequestError, max_tokens=1000000)
expect(error.code == "context_length_exceeded" and "maximum context length is" in error.message, error.body)
error = refused(openai.BadRequestError, frequency_penalty=1)
expect(error.param == "frequency_penalty" and error.code == "unsupported_parameter", error.body)
try:
    openai.OpenAI(base_url=URL + "/v1", api_key="wrong", max_retries=0).models.list()
    raise AssertionError("a wrong key was let in")
except openai.AuthenticationError as denied:
    expect(denied.code == "invalid_api_key", denied.body)


# A client that leaves in the middle of a stream, and many at a time.
async def many():
    async with openai.AsyncOpenAI(base_url=URL + "/v1", api_key="test-key", max_retries=0) as eager:
        stream = await eager.chat.completions.create(
            model=model, messages=MESSAGES, stream=True, temperature=1, extra_body={"ignore_eos": True}
        )
        async for _ in stream:
            break
        await stream.close()
        answers = await asyncio.gather(
            *(eager.chat.completions.create(model=model, messages=MESSAGES, temperature=0) for _ in range(32))
        )
        expect(all(a.choices[0].message.content == text for a in answers), answers)


asyncio.run(many())
print(f"openai {openai.__version__}: all as expected")
