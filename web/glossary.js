// The glossary drawer: terms that must be translated in a certain way, kept per target language. Rows are
// edited in place; a two-column table pasted into a row becomes rows.

import {byId, icon, make} from './element.js';
import {onUiLanguage, t} from './i18n.js';
import {languageName} from './languages.js';
import {setSetting, setting} from './settings.js';
import {load, save} from './store.js';

/** @typedef {{source: string, target: string}} Term */

export class Glossary extends EventTarget {
  #bar;
  /** @type {Record<string, Term[]>} by target language */
  #all = load('glossary', {});
  #box = byId('drawer-glossary');

  /** @param {import('./language_bar.js').LanguageBar} bar */
  constructor(bar) {
    super();
    this.#bar = bar;
    bar.addEventListener('change', () => this.#draw());
    onUiLanguage(() => this.#draw());
  }

  /** What is sent: complete terms, if the glossary is on. @returns {Term[]} */
  terms() {
    if (!setting('useGlossary')) return [];
    return this.#rows
      .filter((term) => term.source.trim() && term.target.trim())
      .map((term) => ({source: term.source.trim(), target: term.target.trim()}));
  }

  get #rows() {
    return this.#all[this.#bar.to] ?? [];
  }

  #keep(rows) {
    this.#all = {...this.#all, [this.#bar.to]: rows};
    const filled = rows.filter((term) => term.source || term.target);
    save('glossary', {...this.#all, [this.#bar.to]: filled});
    this.#drawBadge();
    this.dispatchEvent(new Event('change'));
  }

  #draw() {
    const list = make('div.terms', {}, ...this.#rows.map((term, at) => this.#row(term, at)));
    const use = make('input', {
      type: 'checkbox',
      id: 'use-glossary',
      checked: setting('useGlossary'),
      onchange: () => this.#switch(use.checked),
    });
    this.#box.replaceChildren(
      make(
        'div.title',
        {},
        make('h2', {}, t('glossary_into', {language: languageName(this.#bar.to)})),
        make('label.switch', {}, use, make('span', {}, t('glossary_use'))),
      ),
      make('p.quiet', {}, t('glossary_hint')),
      list,
      make(
        'button.plain.add',
        {type: 'button', id: 'add-term', onclick: () => this.#add()},
        t('glossary_add'),
      ),
    );
    this.#drawBadge();
  }

  #drawBadge() {
    const count = this.terms().length;
    byId('glossary-badge').hidden = count === 0;
    byId('glossary-badge').textContent = String(count);
  }

  #row(term, at) {
    const field = (side, language) =>
      make('input', {
        type: 'text',
        value: term[side],
        dir: 'auto',
        'data-side': side,
        'aria-label': t(`glossary_${side}`),
        placeholder: t(`glossary_${side}`),
        lang: language,
        oninput: (event) => this.#edit(at, side, event.target.value),
        onpaste: (event) => this.#paste(event, at),
        onkeydown: (event) => event.key === 'Enter' && !event.isComposing && this.#add(),
      });
    return make(
      'div.term',
      {},
      field('source'),
      make('span.arrow', {'aria-hidden': 'true'}, '→'),
      field('target', this.#bar.to),
      make(
        'button.icon',
        {type: 'button', 'aria-label': t('remove'), title: t('remove'), onclick: () => this.#remove(at)},
        icon('close'),
      ),
    );
  }

  #add() {
    this.#keep([...this.#rows, {source: '', target: ''}]);
    this.#draw();
    this.#box.querySelector('.term:last-child input')?.focus();
  }

  #edit(at, side, value) {
    this.#keep(this.#rows.map((term, index) => (index === at ? {...term, [side]: value} : term)));
  }

  #remove(at) {
    this.#keep(this.#rows.filter((_, index) => index !== at));
    this.#draw();
    byId('add-term').focus();
  }

  #switch(on) {
    setSetting('useGlossary', on);
    this.#drawBadge();
    this.dispatchEvent(new Event('change'));
  }

  #paste(event, at) {
    const terms = parseTerms(event.clipboardData?.getData('text') ?? '');
    if (!terms.length) return; // a plain word: the browser pastes it
    event.preventDefault();
    const rows = this.#rows;
    const empty = !rows[at].source && !rows[at].target;
    this.#keep([...rows.slice(0, empty ? at : at + 1), ...terms, ...rows.slice(at + 1)]);
    this.#draw();
  }
}

/**
 * Lines of two columns, separated by a tab, "=", "→" or ",". Empty if the text has no such line.
 * @param {string} text
 * @returns {Term[]}
 */
export function parseTerms(text) {
  const terms = [];
  for (const line of text.split(/\r?\n/)) {
    const parts = line.split(line.includes('\t') ? '\t' : /\s*(?:=|→|,)\s*/);
    if (parts.length === 2 && parts[0].trim() && parts[1].trim())
      terms.push({source: parts[0].trim(), target: parts[1].trim()});
  }
  // One line with a comma is more often a phrase than a table.
  return terms.length > 1 || /[\t=→]/.test(text) ? terms : [];
}
