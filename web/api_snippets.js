// The present translation as commands that can be pasted into a shell or a program. Pure functions of a
// request.

import {kAuto, nameIn} from './languages.js';

/**
 * @typedef {object} Example
 * @property {string} origin    "http://127.0.0.1:8080"
 * @property {boolean} withKey  the server asks for a key; the key itself is never shown
 * @property {string} model
 * @property {string} text
 * @property {string} from
 * @property {string} to
 * @property {string} [context]
 * @property {{source: string, target: string}[]} [glossary]
 * @property {number} [temperature]
 */

const kChinese = new Set(['zh', 'zh-Hant', 'yue']);

/** For bash: only a single quote ends a single-quoted string. @param {string} text */
export const shellQuoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * The official wording of the plain prompt of HY-MT1.5; which language it is in depends on the pair.
 * @param {Example} example
 */
export function promptOf({text, from, to}) {
  if (kChinese.has(from) || kChinese.has(to))
    return `将以下文本翻译为${nameIn(to, 'zh-Hans')}，注意只需要输出翻译后的结果，不要额外解释：\n\n${text}`;
  return `Translate the following segment into ${nameIn(to, 'en')}, without additional explanation.\n\n${text}`;
}

/**
 * @param {string} path
 * @param {Example} example
 * @param {object} body
 * @param {{flags?: string, scheme?: string}} [more]
 */
function curl(path, {origin, withKey}, body, {flags = '-s', scheme = 'Bearer'} = {}) {
  const lines = [`curl ${flags} ${origin}${path}`, `-H 'Content-Type: application/json'`];
  if (withKey) lines.push(`-H "Authorization: ${scheme} $PAGODA_API_KEY"`);
  lines.push(`-d ${shellQuoted(JSON.stringify(body, null, 2))}`);
  return lines.join(' \\\n  ');
}

const sampling = ({temperature}) => (temperature === undefined ? {} : {temperature});

/** @type {Record<string, (example: Example) => string>} in the order in which they are shown */
export const kSnippets = {
  translate: (example) =>
    curl('/translate', example, {q: example.text, source: example.from, target: example.to, format: 'text'}),
  generate: (example) =>
    curl('/generate', example, {prompt: promptOf(example), max_tokens: 512, ...sampling(example)}),
  openai: (example) =>
    curl(
      '/v1/chat/completions',
      example,
      {
        model: example.model,
        messages: [{role: 'user', content: promptOf(example)}],
        ...sampling(example),
        stream: true,
      },
      {flags: '-sN'},
    ),
  deepl: (example) =>
    curl(
      '/v2/translate',
      example,
      {
        text: [example.text],
        ...(example.from === kAuto ? {} : {source_lang: example.from.toUpperCase()}),
        target_lang: example.to.toUpperCase(),
      },
      {scheme: 'DeepL-Auth-Key'},
    ),
  websocket: webSocket,
};

/** @param {Example} example */
function webSocket({origin, withKey, text, from, to, context, glossary, temperature}) {
  const message = JSON.stringify(
    {
      type: 'translate',
      id: '1',
      text,
      from,
      to,
      ...(context && {context}),
      ...(glossary && {glossary}),
      ...(temperature === undefined ? {} : {temperature}),
    },
    null,
    2,
  );
  return `const socket = new WebSocket('${origin.replace(/^http/, 'ws')}/ws${withKey ? '?token=YOUR_KEY' : ''}');
socket.onopen = () => socket.send(JSON.stringify(${message}));
let text = '';
socket.onmessage = (event) => {
  const message = JSON.parse(event.data);
  if (message.type === 'delta') text += message.text;
  if (message.type === 'replace') text = message.text;
  if (message.type === 'done') console.log(message.text, message.tokens_per_second);
  if (message.type === 'error') console.error(message.error.message);
};`;
}
