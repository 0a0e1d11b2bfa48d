// JSON over HTTP with the API key, and errors that carry the server's own sentence.

import {setting} from './settings.js';

export class HttpError extends Error {
  /** @param {number} status 0: the server was not reached @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {string} path
 * @param {{body?: unknown, timeoutMs?: number}} [options] with a body it is a POST
 * @returns {Promise<any>}
 */
export async function fetchJson(path, {body, timeoutMs = 10_000} = {}) {
  const headers = {};
  if (setting('apiKey')) headers.Authorization = `Bearer ${setting('apiKey')}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? 'GET' : 'POST',
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    });
  } catch (cause) {
    throw new HttpError(0, String(cause));
  }
  const answer = await response.json().catch(() => null);
  if (!response.ok)
    throw new HttpError(response.status, answer?.error?.message ?? answer?.error ?? response.statusText);
  return answer;
}
