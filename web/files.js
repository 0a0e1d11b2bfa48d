// The Files tab: .txt files by drop or by choice, one after another, each with a bar, cancel and download.

import {announce, byId, icon, make} from './element.js';
import {fetchJson} from './http.js';
import {formatNumber, onUiLanguage, t} from './i18n.js';
import {kAuto, languageName} from './languages.js';
import {LineJob} from './line_job.js';
import {temperature} from './settings.js';

const kMostBytes = 8 * 2 ** 20;
const kDetectCharacters = 2000;
// Errors of the moment: too many requests, the server restarts, the socket is gone.
const kPassing = new Set([0, 429, 503]);

export class Files {
  #connection;
  #bar;
  #glossary;
  #list = byId('jobs');
  /** @type {Promise<void>} one file after another: eight lines at a time already fill a batch */
  #queue = Promise.resolve();
  /** @type {Set<() => void>} */
  #cards = new Set();

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {import('./language_bar.js').LanguageBar} bar
   * @param {import('./glossary.js').Glossary} glossary
   */
  constructor(connection, bar, glossary) {
    this.#connection = connection;
    this.#bar = bar;
    this.#glossary = glossary;
    const input = byId('file-input');
    input.addEventListener('change', () => {
      this.take(input.files);
      input.value = '';
    });
    this.#acceptDrops();
    onUiLanguage(() => this.#cards.forEach((draw) => draw()));
  }

  /** @param {Iterable<File>} files */
  take(files) {
    for (const file of files) this.#add(file);
  }

  /** A file may be dropped anywhere on the page. */
  #acceptDrops() {
    const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
    let depth = 0;
    const over = (on) => document.body.classList.toggle('dropping', on);
    addEventListener('dragenter', (event) => hasFiles(event) && over(++depth > 0));
    addEventListener('dragleave', (event) => hasFiles(event) && over((depth = Math.max(0, depth - 1)) > 0));
    addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault());
    addEventListener('drop', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      over((depth = 0) > 0);
      location.hash = '#files';
      this.take(event.dataTransfer.files);
    });
  }

  #add(file) {
    const card = new FileCard(file, this.#bar.from, this.#bar.to, (draw) => this.#cards.delete(draw));
    this.#cards.add(card.draw);
    this.#list.prepend(card.element);
    this.#queue = this.#queue.then(() => this.#run(card));
  }

  /** @param {FileCard} card */
  async #run(card) {
    if (card.state !== 'queued') return;
    try {
      const text = await readText(card.file);
      const from = card.from === kAuto ? await detect(text) : card.from;
      card.from = from;
      const glossary = this.#glossary.terms();
      const chosen = temperature();
      const request = {
        from,
        to: card.to,
        ...(glossary.length && {glossary}),
        ...(chosen !== undefined && {temperature: chosen}),
      };
      await card.run(
        new LineJob(text, {
          onProgress: card.draw,
          translate: (line) => this.#translate({...request, text: line}),
        }),
      );
    } catch (error) {
      card.fail(error.message);
    }
  }

  #translate(request) {
    let running;
    const done = new Promise((resolve, reject) => {
      running = this.#connection.translate(request, {
        done: (message) => resolve(message.text),
        error: (error) => reject({retry: kPassing.has(error.code), message: error.message}),
      });
    });
    return {done, cancel: () => running.cancel()};
  }
}

/** One file on the list. */
class FileCard {
  /** @type {'queued'|'running'|'done'|'cancelled'|'failed'} */
  state = 'queued';
  element = make('li.job');
  /** @type {LineJob|null} */
  #job = null;
  #error = '';
  #started = 0;
  #seconds = 0;
  #forget;

  /** @param {File} file @param {string} from @param {string} to @param {(draw: () => void) => void} forget */
  constructor(file, from, to, forget) {
    this.file = file;
    this.from = from;
    this.to = to;
    this.#forget = forget;
    this.draw();
  }

  /** @param {LineJob} job */
  async run(job) {
    this.#job = job;
    this.state = 'running';
    this.#started = performance.now();
    this.draw();
    const finished = await job.run();
    this.#seconds = (performance.now() - this.#started) / 1000;
    this.state = finished ? 'done' : 'cancelled';
    this.draw();
    if (finished) announce(t('file_done', {name: this.file.name}));
  }

  /** @param {string} message */
  fail(message) {
    this.state = 'failed';
    this.#error = message;
    this.draw();
    announce(message);
  }

  draw = () => {
    const job = this.#job;
    const bar = make('progress', {max: job?.total ?? 1, value: job?.done ?? 0, 'aria-label': this.file.name});
    const focused = this.element.contains(document.activeElement) ? document.activeElement.dataset.does : '';
    const pair = `${this.from === kAuto ? t('detect') : languageName(this.from)} → ${languageName(this.to)}`;
    this.element.dataset.state = this.state;
    this.element.replaceChildren(
      make('div.about', {}, make('strong', {}, this.file.name), make('span.quiet', {}, pair)),
      bar,
      make(
        'div.about',
        {},
        make('span.quiet.state', {}, this.#stateText()),
        make('span.does', {}, ...this.#buttons()),
      ),
    );
    if (focused) this.element.querySelector(`[data-does=${focused}]`)?.focus();
  };

  #stateText() {
    const job = this.#job;
    if (this.state === 'failed') return this.#error;
    if (!job) return t(`file_${this.state}`);
    const lines = t('file_lines', {done: formatNumber(job.done), total: formatNumber(job.total)});
    if (this.state === 'running') return lines;
    if (this.state === 'cancelled') return `${lines} · ${t('file_cancelled')}`;
    const kept = job.failed ? ` · ${t('file_kept', {count: job.failed, message: job.lastError})}` : '';
    return `${lines} · ${t('seconds', {n: formatNumber(this.#seconds, 1)})}${kept}`;
  }

  #buttons() {
    const button = (does, label, symbol, act) =>
      make(
        does === 'save' ? 'button.primary' : 'button.plain',
        {type: 'button', 'data-does': does, onclick: act},
        symbol && icon(symbol),
        make('span', {}, label),
      );
    if (this.state === 'done')
      return [
        button('drop', t('remove'), '', () => this.#remove()),
        button('save', t('download'), 'save', () => this.#save()),
      ];
    if (this.state === 'running' || this.state === 'queued')
      return [button('cancel', t('cancel'), '', () => this.#cancel())];
    return [button('drop', t('remove'), '', () => this.#remove())];
  }

  #cancel() {
    if (this.state === 'queued') {
      this.state = 'cancelled';
      this.draw();
    }
    this.#job?.cancel();
  }

  #remove() {
    this.#forget(this.draw);
    this.element.remove();
  }

  #save() {
    const url = URL.createObjectURL(new Blob([this.#job.text], {type: 'text/plain;charset=utf-8'}));
    const link = make('a', {href: url, download: resultName(this.file.name, this.to)});
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

/** letter.txt in French is letter.fr.txt. @param {string} name @param {string} code */
export function resultName(name, code) {
  const dot = name.lastIndexOf('.');
  return dot > 0 ? `${name.slice(0, dot)}.${code}${name.slice(dot)}` : `${name}.${code}.txt`;
}

/** @param {File} file */
async function readText(file) {
  if (file.size > kMostBytes) throw new Error(t('file_too_large', {size: kMostBytes / 2 ** 20}));
  const bytes = new Uint8Array(await file.arrayBuffer());
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe
      ? 'utf-16le'
      : bytes[0] === 0xfe && bytes[1] === 0xff
        ? 'utf-16be'
        : 'utf-8';
  let text;
  try {
    text = new TextDecoder(encoding, {fatal: true}).decode(bytes);
  } catch {
    throw new Error(t('file_not_text'));
  }
  if (text.includes('\0')) throw new Error(t('file_not_text'));
  if (!text.trim()) throw new Error(t('file_empty'));
  return text;
}

/** The language of the whole file: a single short line says too little. @param {string} text */
async function detect(text) {
  const guesses = await fetchJson('/detect', {body: {q: text.slice(0, kDetectCharacters)}}).catch(() => []);
  return guesses?.[0]?.confidence >= 50 ? guesses[0].language : kAuto;
}
