// Other wordings: the same text sampled again a few times at once, each with a seed of its own. Doubles of
// what is already there are dropped.

import {announce, byId, copyText, icon, make} from './element.js';
import {t} from './i18n.js';
import {setting, temperature} from './settings.js';

const kAtOnce = 3;
const kLeastTemperature = 0.8; // below it a second sample is mostly the first again

export class Alternatives {
  #connection;
  #view;
  #box = byId('alternatives');
  /** @type {{cancel: () => void}[]} */
  #running = [];
  /** @type {string[]} */
  #found = [];

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {import('./translate.js').TranslateView} view
   */
  constructor(connection, view) {
    this.#connection = connection;
    this.#view = view;
    byId('more').addEventListener('click', () => this.ask());
    view.addEventListener('begin', () => this.#clear());
    view.addEventListener('input', () => this.#clear());
  }

  ask() {
    if (!this.#view.result || !this.#connection.isOpen) return;
    this.#stop();
    this.#found = this.#found.length ? this.#found : [this.#view.result];
    this.#draw(kAtOnce);
    let open = kAtOnce;
    const ended = () => {
      open -= 1;
      this.#draw(open);
      if (open === 0) this.#said();
    };
    for (let i = 0; i < kAtOnce; ++i) {
      this.#running.push(
        this.#connection.translate(this.#request(), {
          done: (message) => {
            this.#add(message.text);
            ended();
          },
          error: ended,
        }),
      );
    }
  }

  #request() {
    const asked = setting('creativity') === 'default' ? 0 : temperature();
    return {
      ...this.#view.request(),
      temperature: Math.max(kLeastTemperature, asked),
      seed: Math.floor(Math.random() * 2 ** 31),
    };
  }

  #add(text) {
    const known = new Set(this.#found.map(plain));
    if (text.trim() && !known.has(plain(text))) this.#found.push(text);
  }

  #said() {
    const count = this.#found.length - 1;
    announce(count ? t('alternatives_found', {count}) : t('alternatives_none'));
  }

  #draw(open) {
    const others = this.#found.slice(1);
    const rows = others.map((text) => this.#row(text));
    if (open) rows.push(make('p.quiet.working', {}, t('alternatives_working')));
    else if (!others.length) rows.push(make('p.quiet', {}, t('alternatives_none')));
    this.#box.replaceChildren(make('h2', {}, t('alternatives')), ...rows);
    this.#box.hidden = false;
  }

  #row(text) {
    const target = byId('target');
    const copy = make(
      'button.icon',
      {
        type: 'button',
        'aria-label': t('copy'),
        title: t('copy'),
        onclick: () => copyText(text, copy, t('copied')),
      },
      icon('copy'),
    );
    const use = make(
      'button.other',
      {
        type: 'button',
        dir: target.dir,
        lang: target.lang,
        title: t('alternative_use'),
        onclick: () => this.#use(text),
      },
      text,
    );
    return make('div.row', {}, use, copy);
  }

  /** The chosen one changes places with the one shown. */
  #use(text) {
    const before = this.#view.result;
    this.#found = [text, ...this.#found.filter((other) => other !== text && other !== before), before];
    this.#view.showResult(text);
    this.#draw(0);
  }

  #stop() {
    for (const running of this.#running) running.cancel();
    this.#running = [];
  }

  #clear() {
    this.#stop();
    this.#found = [];
    this.#box.hidden = true;
  }
}

const plain = (text) => text.trim().replace(/\s+/g, ' ').toLowerCase();
