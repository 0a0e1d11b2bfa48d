// The history drawer: translations that were finished here, newest first, in this browser alone.

import {byId, icon, make} from './element.js';
import {onUiLanguage, t, uiLanguage} from './i18n.js';
import {languageName} from './languages.js';
import {onSettingChange, setting} from './settings.js';
import {load, save} from './store.js';

/** @typedef {{text: string, result: string, from: string, to: string, at: number}} Entry */

const kMostEntries = 200;
const kMostCharacters = 400_000; // localStorage holds about 5 MB for everything
const kSameThoughtMs = 60_000;

export class History extends EventTarget {
  /** @type {Entry[]} */
  #entries = load('history', []);
  #box = byId('drawer-history');
  #list = make('ul.entries');
  #search = make('input', {type: 'search', oninput: () => this.#drawList()});

  constructor() {
    super();
    onUiLanguage(() => this.#draw());
    onSettingChange((name) => name === 'keepHistory' && this.#draw());
  }

  /** @param {Omit<Entry, 'at'>} entry */
  add(entry) {
    if (!setting('keepHistory') || !entry.result.trim()) return;
    const {text, result, from, to} = entry;
    // While somebody types, each pause finishes a translation; they are one entry, the last.
    const others = this.#entries.filter(
      (old, index) => !(index === 0 && grewOutOf(entry, old)) && !isSame(entry, old),
    );
    this.#entries = trimmed([{text, result, from, to, at: Date.now()}, ...others]);
    this.#kept();
  }

  clear() {
    this.#entries = [];
    this.#kept();
  }

  #kept() {
    save('history', this.#entries);
    this.#draw();
  }

  #draw() {
    const label = t('history_search');
    this.#search.placeholder = label;
    this.#search.setAttribute('aria-label', label);
    const some = this.#entries.length > 0;
    const clear = make(
      'button.plain',
      {type: 'button', id: 'clear-history', onclick: () => this.clear()},
      t('history_clear'),
    );
    this.#box.replaceChildren(
      make('div.title', {}, make('h2', {}, t('history')), some && clear),
      ...(some
        ? [this.#search, this.#list]
        : [make('p.quiet', {}, t(setting('keepHistory') ? 'history_empty' : 'history_off'))]),
    );
    byId('history-badge').hidden = !some;
    byId('history-badge').textContent = String(this.#entries.length);
    this.#drawList();
  }

  #drawList() {
    const wanted = this.#search.value.trim().toLowerCase();
    const found = this.#entries.filter((entry) =>
      `${entry.text}\n${entry.result}`.toLowerCase().includes(wanted),
    );
    this.#list.replaceChildren(...found.map((entry) => this.#row(entry)));
  }

  #row(entry) {
    const take = make(
      'button.entry',
      {
        type: 'button',
        title: t('history_take'),
        onclick: () => this.dispatchEvent(new CustomEvent('take', {detail: entry})),
      },
      make(
        'span.pair',
        {},
        `${languageName(entry.from)} → ${languageName(entry.to)}`,
        make('time', {}, timeOf(entry.at)),
      ),
      make('bdi.text', {lang: entry.from}, entry.text),
      make('bdi.result', {lang: entry.to}, entry.result),
    );
    return make(
      'li',
      {},
      take,
      make(
        'button.icon',
        {
          type: 'button',
          'aria-label': t('remove'),
          title: t('remove'),
          onclick: () => {
            this.#entries = this.#entries.filter((other) => other !== entry);
            this.#kept();
          },
        },
        icon('close'),
      ),
    );
  }
}

const isSame = (a, b) => a.text === b.text && a.from === b.from && a.to === b.to;

function grewOutOf(entry, old) {
  if (entry.to !== old.to || Date.now() - old.at > kSameThoughtMs) return false;
  return entry.text.startsWith(old.text) || old.text.startsWith(entry.text);
}

function trimmed(entries) {
  let characters = 0;
  return entries
    .slice(0, kMostEntries)
    .filter((entry) => (characters += entry.text.length + entry.result.length) <= kMostCharacters);
}

function timeOf(at) {
  const date = new Date(at);
  const today = date.toDateString() === new Date().toDateString();
  const form = today ? {hour: '2-digit', minute: '2-digit'} : {month: 'short', day: 'numeric'};
  return date.toLocaleString(uiLanguage() === 'zh' ? 'zh-CN' : 'en-GB', /** @type {any} */ (form));
}
