// openai_node_test.mjs URL: what programs do with OpenAI's client for Node. Throws where something is wrong.
import assert from "node:assert/strict";
import OpenAI from "openai";

const url = process.argv[2];
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "test-key", maxRetries: 0 });
const prompt =
  "Translate the following segment into French, without additional explanation.\n\nThe weather is nice today.";
const messages = [{ role: "user", content: prompt }];

const models = await client.models.list();
assert.equal(models.data.length, 1);
const model = models.data[0].id;
assert.equal((await client.models.retrieve(model)).id, model);

const answer = await client.chat.completions.create({ model, messages, temperature: 0 });
const text = answer.choices[0].message.content;
assert.match(text, /temps|beau/);
assert.equal(answer.choices[0].finish_reason, "stop");

let streamed = "";
let usage = null;
const stream = await client.chat.completions.create({
  model, messages, temperature: 0, stream: true, stream_options: { include_usage: true },
});
for await (const piece of stream) {
  streamed += piece.choices[0]?.delta?.content ?? "";
  usage = piece.usage ?? usage;
}
assert.equal(streamed, text);
assert.equal(usage.completion_tokens, answer.usage.completion_tokens);

// The client's own accumulator of streams.
const runner = client.chat.completions.stream({ model, messages, temperature: 0 });
assert.equal(await runner.finalContent(), text);

const scored = await client.chat.completions.create({ model, messages, temperature: 0, logprobs: true, top_logprobs: 2 });
const bytes = scored.choices[0].logprobs.content.flatMap((token) => token.bytes);
assert.equal(Buffer.from(bytes).toString("utf8"), text);

const sampled = { model, messages, temperature: 1, seed: 3, n: 2, max_tokens: 8, top_k: 50 };
const [first, second] = [await client.chat.completions.create(sampled), await client.chat.completions.create(sampled)];
assert.deepEqual(first.choices, second.choices);

const done = await client.completions.create({ model, prompt: ["Bonjour", "Hello"], max_tokens: 5, logprobs: 1 });
assert.deepEqual(done.choices.map((choice) => choice.index), [0, 1]);
assert.equal(done.choices[0].logprobs.tokens.length, 5);

const translated = await client.chat.completions.create({
  model,
  messages: [{ role: "user", content: "The weather is nice today.\nI like dogs." }],
  translation_options: { target_lang: "fr" },
});
assert.equal(translated.choices[0].message.content.split("\n").length, 2);

const refused = (request, kind, expected) =>
  assert.rejects(client.chat.completions.create({ model, messages, ...request }), (error) => {
    assert.ok(error instanceof kind, `${error}`);
    for (const [name, value] of Object.entries(expected)) assert.equal(error[name], value, `${error}`);
    return true;
  });
await refused({ model: "gpt-4o" }, OpenAI.NotFoundError, { code: "model_not_found", param: "model" });
await refused({ max_tokens: 1000000 }, OpenAI.BadRequestError, { code: "context_length_exceeded" });
await refused({ logit_bias: { 5: 1 } }, OpenAI.BadRequestError, { param: "logit_bias" });

// Leaving a stream.
const abandoned = await client.chat.completions.create({ model, messages, temperature: 1, ignore_eos: true, stream: true });
for await (const piece of abandoned) {
  assert.ok(piece.id);
  break;
}

const answers = await Promise.all(
  Array.from({ length: 16 }, () => client.chat.completions.create({ model, messages, temperature: 0 })),
);
for (const other of answers) assert.equal(other.choices[0].message.content, text);
console.log("openai for Node: all as expected");
