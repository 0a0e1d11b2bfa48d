// The two panes: reads the source, asks for its translation while the person types or on Ctrl+Enter, shows it
// as it comes, and what it cost. One translation at a time; a newer one cancels the older.

import {kLost} from './connection.js';
import {announce, byId, copyText} from './element.js';
import {formatNumber, onUiLanguage, t} from './i18n.js';
import {directionOf, kAuto} from './languages.js';
import {onSettingChange, setting, temperature} from './settings.js';

// Pauses between words are shorter than this, pauses between thoughts longer.
const kTypingPauseMs = 350;
const kLongText = 320;

export class TranslateView extends EventTarget {
  /** The finished translation; '' before and while another comes. */
  result = '';
  /** What the server said of the last finished request. @type {any} */
  last = null;

  #connection;
  #bar;
  #extras;
  #source = byId('source');
  #target = byId('target');
  #running = null;
  #shown = '';
  #frame = 0;
  #timer = 0;
  /** Asked while the server was away: sent when it is back. */
  #owed = false;
  #note = '';

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {import('./language_bar.js').LanguageBar} bar
   * @param {() => {context?: string, glossary?: {source: string, target: string}[]}} extras
   */
  constructor(connection, bar, extras) {
    super();
    this.#connection = connection;
    this.#bar = bar;
    this.#extras = extras;
    this.#source.addEventListener('input', () => this.#edited());
    byId('clear').addEventListener('click', () => this.setSource(''));
    byId('copy').addEventListener('click', () => this.copy());
    byId('stop').addEventListener('click', () => this.stop());
    byId('run').addEventListener('click', () => this.run());
    bar.addEventListener('change', () => this.#languagesChanged());
    connection.addEventListener('change', () => this.#connectionChanged());
    onSettingChange((name) => this.#settingChanged(name));
    onUiLanguage(() => this.#draw());
  }

  get text() {
    return this.#source.value;
  }

  /** What a translation of the present text is asked with; the glossary view and the API tab use it too. */
  request() {
    return {text: this.text, from: this.#bar.from, to: this.#bar.to, ...this.#extras()};
  }

  /** @param {string} text @param {{translate?: boolean}} [options] */
  setSource(text, {translate = true} = {}) {
    this.#source.value = text;
    this.#drawSource();
    this.dispatchEvent(new Event('input'));
    if (!text.trim()) this.#empty();
    else if (translate) this.run();
    this.#source.focus();
  }

  /** Shows a translation that is already known (history, an alternative). @param {string} text */
  showResult(text) {
    this.#cancel();
    this.#setNote('');
    this.result = text;
    this.#show(text);
    this.#draw();
  }

  run() {
    clearTimeout(this.#timer);
    this.#cancel();
    if (!this.text.trim()) return this.#empty();
    if (!this.#connection.isOpen) {
      this.#owed = true;
      this.result = ''; // what is shown belongs to an older text
      return this.#draw();
    }
    this.#owed = false;
    this.#setNote('');
    this.result = '';
    this.#target.classList.add('stale'); // the older text stays, paler, until the first new piece
    this.#shown = '';
    const request = this.request();
    this.dispatchEvent(new Event('begin'));
    this.#running = this.#connection.translate(
      {...request, ...sampling()},
      {
        start: ({from}) => request.from === kAuto && this.#detected(from),
        delta: ({text}) => this.#append(text),
        replace: ({text}) => this.#replace(text),
        done: (message) => this.#done(request, message),
        error: (error) => this.#failed(error),
      },
    );
    this.#draw();
  }

  /** Ends the running translation; what has come stays. */
  stop() {
    if (!this.#running) return;
    this.#cancel();
    this.result = this.#shown;
    this.#show(this.#shown);
    this.#setNote(t('stopped'));
    this.#draw();
  }

  swap() {
    const result = this.result;
    if (!this.#bar.swap()) return announce(t('swap_unknown'));
    if (result) this.setSource(result);
  }

  copy() {
    if (this.result) copyText(this.result, byId('copy'), t('copied'));
  }

  #edited() {
    this.#drawSource();
    this.dispatchEvent(new Event('input'));
    clearTimeout(this.#timer);
    if (!this.text.trim()) return this.#empty();
    if (!setting('live')) return;
    this.#timer = setTimeout(() => this.run(), kTypingPauseMs);
  }

  #empty() {
    clearTimeout(this.#timer);
    this.#cancel();
    this.#owed = false;
    this.result = '';
    this.last = null;
    if (this.#bar.from === kAuto) this.#bar.showDetected('');
    this.#show('');
    this.#setNote('');
    this.#draw();
    this.dispatchEvent(new Event('begin'));
  }

  #languagesChanged() {
    this.#draw();
    if (this.text.trim() && setting('live')) this.run();
  }

  #connectionChanged() {
    if (this.#connection.isOpen && this.#owed) this.run();
  }

  #settingChanged(name) {
    if (name === 'live') this.#draw();
    if (name === 'creativity' && setting('live') && this.text.trim()) this.run();
  }

  #cancel() {
    this.#running?.cancel();
    this.#running = null;
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  #detected(code) {
    this.#bar.showDetected(code);
    this.#drawSource();
  }

  #append(piece) {
    this.#shown += piece;
    // Pieces may come faster than the screen is drawn.
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#show(this.#shown);
    });
  }

  #replace(text) {
    this.#shown = text;
    this.#show(text);
  }

  #done(request, message) {
    this.#cancel();
    this.result = message.text;
    this.last = message;
    this.#show(message.text);
    this.#setNote(problemText(message.problems ?? []));
    if (request.from === kAuto && message.from) this.#detected(message.from);
    this.#draw();
    announce(t('done_said'));
    this.dispatchEvent(
      new CustomEvent('done', {
        detail: {...request, from: message.from || request.from, result: message.text},
      }),
    );
  }

  #failed(error) {
    this.#cancel();
    this.#owed = error.type === kLost;
    if (!this.#owed) {
      this.#show('');
      this.#setNote(error.message || t('failed'), 'error');
    }
    this.#draw();
  }

  #show(text) {
    this.#shown = text;
    this.#target.textContent = text;
    this.#target.classList.remove('stale');
    this.#target.classList.toggle('long', text.length > kLongText);
  }

  #setNote(text, kind = '') {
    const note = byId('target-note');
    this.#note = text;
    note.hidden = !text;
    note.textContent = text;
    note.dataset.kind = kind;
    if (kind === 'error') announce(text);
  }

  #drawSource() {
    const text = this.text;
    this.#source.dir = directionOf(this.#bar.knownFrom);
    this.#source.lang = this.#bar.knownFrom;
    this.#source.classList.toggle('long', text.length > kLongText);
    byId('clear').hidden = !text;
    byId('run').disabled = !text.trim();
    byId('source-count').textContent = text ? t('characters', {count: formatNumber([...text].length)}) : '';
  }

  #draw() {
    this.#drawSource();
    const busy = this.#running !== null;
    this.#target.dir = directionOf(this.#bar.to);
    this.#target.lang = this.#bar.to;
    this.#target.dataset.placeholder = t(this.#owed ? 'waiting_for_server' : 'target_placeholder');
    this.#target.classList.toggle('busy', busy);
    if (!busy) this.#target.classList.toggle('stale', this.#owed && this.#shown !== '');
    this.#target.setAttribute('aria-busy', String(busy));
    byId('stop').hidden = !busy;
    byId('run').hidden = setting('live');
    for (const id of ['copy', 'more']) byId(id).disabled = busy || !this.result;
    byId('measure').textContent = busy || !this.last || !this.result ? '' : measureText(this.last);
    byId('measure').title = busy || !this.last ? '' : measureTitle(this.last);
  }
}

function sampling() {
  const chosen = temperature();
  return chosen === undefined ? {} : {temperature: chosen};
}

const seconds = (value) =>
  value < 1 ? t('milliseconds', {n: formatNumber(value * 1000)}) : t('seconds', {n: formatNumber(value, 2)});

function measureText(message) {
  return t('measure', {
    speed: formatNumber(message.tokens_per_second, message.tokens_per_second < 100 ? 1 : 0),
    time: seconds(message.generation_time),
  });
}

function measureTitle(message) {
  return t('measure_title', {
    first: seconds(message.time_to_first_token),
    total: seconds(message.generation_time),
    prompt: message.usage?.prompt_tokens ?? 0,
    cached: message.usage?.cached_tokens ?? 0,
    made: message.usage?.completion_tokens ?? 0,
  });
}

/** One sentence for what the server saw wrong in its own answer. @param {string[]} problems */
export const problemText = (problems) => problems.map((name) => t(`problem_${name}`)).join(' ');
