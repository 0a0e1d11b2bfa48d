// One WebSocket to /ws with any number of translations on it. It connects again by itself, with growing
// pauses, and says what is wrong: a browser does not tell why a WebSocket was refused, so a plain request
// asks instead.

import {fetchJson} from './http.js';
import {setting} from './settings.js';

/**
 * @typedef {object} TranslateRequest
 * @property {string} text
 * @property {string} from
 * @property {string} to
 * @property {string} [context]
 * @property {{source: string, target: string}[]} [glossary]
 * @property {number} [temperature]
 * @property {number} [seed]
 */
/**
 * @typedef {object} TranslateEvents  each is optional
 * @property {(message: {from: string, confidence: number}) => void} [start]
 * @property {(message: {text: string}) => void} [delta]
 * @property {(message: {text: string}) => void} [replace]
 * @property {(message: any) => void} [done]
 * @property {(error: {code: number, type: string, message: string}) => void} [error]
 * @property {() => void} [cancelled]
 */
/** @typedef {'connecting'|'open'|'down'|'unauthorized'|'loading'} ConnectionState */

const kFirstPauseMs = 500;
const kLongestPauseMs = 15_000;
// Proxies close idle sockets after 30 to 60 s.
const kPingEveryMs = 20_000;
const kSilenceMs = 12_000;

export const kLost = 'connection_lost';

export class Connection extends EventTarget {
  /** @type {ConnectionState} */
  state = 'connecting';
  /** When the next attempt is due, in ms of Date.now(); 0 if none is planned. */
  retryAt = 0;

  /** @type {WebSocket|null} */
  #socket = null;
  /** @type {Map<string, TranslateEvents>} */
  #running = new Map();
  #lastId = 0;
  #failures = 0;
  #retryTimer = 0;
  #pingTimer = 0;
  #silenceTimer = 0;

  constructor() {
    super();
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => document.hidden || this.#hurry());
  }

  /** Connects now, also when a later attempt was planned or the key has changed. */
  connect() {
    clearTimeout(this.#retryTimer);
    this.#forgetSocket();
    this.#change('connecting');
    const scheme = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const key = setting('apiKey');
    const socket = new WebSocket(
      `${scheme}//${location.host}/ws${key ? `?token=${encodeURIComponent(key)}` : ''}`,
    );
    this.#socket = socket;
    socket.onopen = () => this.#opened();
    socket.onmessage = (event) => this.#received(event.data);
    socket.onclose = () => this.#closed();
  }

  get isOpen() {
    return this.state === 'open';
  }

  /**
   * @param {TranslateRequest} request
   * @param {TranslateEvents} events
   * @returns {{cancel: () => void}} after cancel() no event comes any more
   */
  translate(request, events) {
    const id = `t${++this.#lastId}`;
    if (!this.isOpen) {
      queueMicrotask(() => events.error?.({code: 0, type: kLost, message: ''}));
      return {cancel() {}};
    }
    this.#running.set(id, events);
    this.#send({type: 'translate', id, ...request});
    return {
      cancel: () => {
        if (this.#running.delete(id)) this.#send({type: 'cancel', id});
      },
    };
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #opened() {
    this.#failures = 0;
    this.#pingTimer = setInterval(() => this.#ping(), kPingEveryMs);
    this.#change('open');
  }

  /** A server that is gone without closing (a laptop that slept) is noticed by its silence. */
  #ping() {
    this.#send({type: 'ping'});
    clearTimeout(this.#silenceTimer);
    this.#silenceTimer = setTimeout(() => this.#closed(), kSilenceMs);
  }

  #received(data) {
    clearTimeout(this.#silenceTimer);
    const message = JSON.parse(data);
    const events = this.#running.get(message.id);
    if (!events) return;
    const last = message.type === 'done' || message.type === 'cancelled' || message.type === 'error';
    if (last) this.#running.delete(message.id);
    if (message.type === 'error') events.error?.(message.error);
    else events[message.type]?.(message);
  }

  async #closed() {
    const socket = this.#socket;
    this.#forgetSocket();
    const state = await whyRefused();
    if (this.#socket || !socket) return; // connect() was called meanwhile
    this.#plan(state);
  }

  /** @param {ConnectionState} state */
  #plan(state) {
    const longest = Math.min(kLongestPauseMs, kFirstPauseMs * 2 ** this.#failures++);
    // Half of it random: a restarted server is not met by all its pages in the same instant.
    const pause = longest / 2 + (longest / 2) * Math.random();
    clearTimeout(this.#retryTimer);
    this.retryAt = 0;
    if (state !== 'unauthorized') {
      // another key is needed; asking again with this one would not help
      this.retryAt = Date.now() + pause;
      this.#retryTimer = setTimeout(() => this.connect(), pause);
    }
    this.#change(state);
  }

  #hurry() {
    if (this.retryAt) this.connect();
  }

  #forgetSocket() {
    clearInterval(this.#pingTimer);
    clearTimeout(this.#silenceTimer);
    this.retryAt = 0;
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
    if (this.state === 'open') this.state = 'connecting';
    const lost = [...this.#running.values()];
    this.#running.clear();
    for (const events of lost) events.error?.({code: 0, type: kLost, message: ''});
  }

  /** @param {ConnectionState} state */
  #change(state) {
    this.state = state;
    this.dispatchEvent(new Event('change'));
  }
}

/** @returns {Promise<ConnectionState>} */
async function whyRefused() {
  try {
    await fetchJson('/stats', {timeoutMs: 4000});
    return 'down'; // answers, but takes no WebSocket
  } catch (error) {
    if (error.status === 401 || error.status === 403) return 'unauthorized';
    return error.status === 503 ? 'loading' : 'down';
  }
}
