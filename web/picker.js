// A language picker: a button that opens a list with a search field, after the ARIA pattern of a combobox
// with a listbox. Arrow keys move, Enter takes, Escape closes, typing filters.

import {byId, icon, make} from './element.js';
import {t} from './i18n.js';
import {kAuto, languageName, matchesQuery, nativeName, recentLanguages} from './languages.js';

/**
 * @typedef {object} PickerOptions
 * @property {'from'|'to'} side
 * @property {string} labelKey
 * @property {() => string[]} codes what can be chosen
 * @property {(code: string) => {name: string, remark?: string}} caption what the button shows
 * @property {(code: string) => void} onPick
 */

export class Picker {
  value = '';

  #options;
  #button;
  #caption = make('span.caption');
  #panel = null;
  #active = -1;

  /** @param {PickerOptions} options */
  constructor(options) {
    this.#options = options;
    this.#button = make(
      'button.pick',
      {
        type: 'button',
        id: `pick-${options.side}`,
        'aria-haspopup': 'listbox',
        'aria-expanded': 'false',
        onclick: () => this.toggle(),
        onkeydown: (event) => this.#buttonKey(event),
      },
      this.#caption,
      icon('down'),
    );
    byId(`${options.side}-picker`).append(this.#button);
    document.addEventListener('pointerdown', (event) => {
      if (this.#panel && !this.#panel.contains(event.target) && !this.#button.contains(event.target))
        this.close();
    });
  }

  /** @param {string} code */
  show(code) {
    this.value = code;
    const {name, remark = ''} = this.#options.caption(code);
    this.#caption.replaceChildren(name, make('small', {}, remark));
    this.#button.setAttribute('aria-label', `${t(this.#options.labelKey)}: ${name} ${remark}`.trim());
    this.#button.dataset.code = code;
  }

  toggle() {
    if (this.#panel) this.close();
    else this.#open();
  }

  close() {
    this.#panel?.remove();
    this.#panel = null;
    this.#button.setAttribute('aria-expanded', 'false');
  }

  #open() {
    const listId = `list-${this.#options.side}`;
    const search = make('input', {
      type: 'text',
      role: 'combobox',
      'aria-expanded': 'true',
      'aria-controls': listId,
      'aria-autocomplete': 'list',
      'aria-label': t('language_search'),
      placeholder: t('language_search'),
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => this.#fill(),
    });
    this.#panel = make(
      `div.choose.${this.#options.side}`,
      {tabindex: -1, onkeydown: (event) => this.#key(event)},
      make('label.search', {}, icon('search'), search),
      make(
        'div.scroll',
        {},
        make('ul', {id: listId, role: 'listbox', 'aria-label': t(this.#options.labelKey)}),
      ),
    );
    this.#button.after(this.#panel);
    this.#button.setAttribute('aria-expanded', 'true');
    this.#fill();
    // Where a keyboard would rise over the list, it waits for a tap on the field.
    (matchMedia('(pointer: coarse)').matches ? this.#panel : search).focus({preventScroll: true});
  }

  #fill() {
    const query = this.#panel.querySelector('input').value;
    const list = this.#panel.querySelector('ul');
    list.replaceChildren(...(query.trim() ? this.#found(query) : this.#everything()));
    const chosen = this.#rows().findIndex((row) => row.dataset.code === this.value);
    this.#activate(query.trim() ? 0 : Math.max(0, chosen));
  }

  #found(query) {
    const codes = this.#options.codes().filter((code) => code !== kAuto && matchesQuery(code, query));
    // What begins with the letters typed stands first: "po" is Portuguese and Polish before anything else.
    const rank = (code) => (languageName(code).toLowerCase().startsWith(query.trim().toLowerCase()) ? 0 : 1);
    codes.sort((a, b) => rank(a) - rank(b) || byName(a, b));
    if (codes.length) return codes.map((code) => this.#row(code));
    return [make('li.none', {role: 'presentation'}, t('language_none'))];
  }

  #everything() {
    const codes = this.#options.codes();
    const recent = recentLanguages(this.#options.side).filter((code) => codes.includes(code));
    const auto = codes.includes(kAuto) ? [this.#row(kAuto)] : [];
    const rest = codes.filter((code) => code !== kAuto && !recent.includes(code)).sort(byName);
    const first = recent.map((code) => this.#row(code));
    if (first.length) first[first.length - 1].classList.add('last-recent');
    return [...auto, ...first, ...rest.map((code) => this.#row(code))];
  }

  #row(code) {
    const native = nativeName(code);
    const name = code === kAuto ? t('detect') : languageName(code);
    return make(
      'li',
      {
        role: 'option',
        id: `${this.#options.side}-${code}`,
        'data-code': code,
        'aria-selected': String(code === this.value),
        onclick: () => this.#take(code),
      },
      make('span.name', {}, name),
      native && native !== name && make('bdi.native', {lang: code}, native),
    );
  }

  #rows() {
    return [...this.#panel.querySelectorAll('[role=option]')];
  }

  #activate(index) {
    const rows = this.#rows();
    this.#active = rows.length ? (index + rows.length) % rows.length : -1;
    rows.forEach((row, at) => row.classList.toggle('active', at === this.#active));
    const row = rows[this.#active];
    const search = this.#panel.querySelector('input');
    if (row) search.setAttribute('aria-activedescendant', row.id);
    else search.removeAttribute('aria-activedescendant');
    row?.scrollIntoView({block: 'nearest'});
  }

  #take(code) {
    this.close();
    this.#button.focus();
    if (code !== this.value) this.#options.onPick(code);
  }

  #buttonKey(event) {
    if (event.key !== 'ArrowDown' && event.key !== 'ArrowUp') return;
    event.preventDefault();
    if (!this.#panel) this.#open();
  }

  #key(event) {
    const moves = {ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8};
    if (event.key in moves) this.#activate(this.#active + moves[event.key]);
    else if (event.key === 'Enter')
      this.#rows()[this.#active] && this.#take(this.#rows()[this.#active].dataset.code);
    else if (event.key === 'Escape') this.#leave();
    else if (event.key === 'Tab') return this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #leave() {
    this.close();
    this.#button.focus();
  }
}

const byName = (a, b) => languageName(a).localeCompare(languageName(b), document.documentElement.lang);
