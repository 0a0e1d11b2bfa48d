// The API tab: the present request in each dialect that the server speaks, ready to copy.

import {kSnippets} from './api_snippets.js';
import {byId, copyText, icon, make} from './element.js';
import {onUiLanguage, t} from './i18n.js';
import {onSettingChange, setting, temperature} from './settings.js';
import {load, save} from './store.js';

export class ApiTab {
  #request;
  #model;
  #box = byId('view-api');
  #chosen = load('api', 'translate');

  /** @param {() => any} request what the page would send now @param {() => string} model */
  constructor(request, model) {
    this.#request = request;
    this.#model = model;
    onUiLanguage(() => this.draw());
    onSettingChange((name) => (name === 'apiKey' || name === 'creativity') && this.draw());
  }

  draw() {
    if (this.#box.hidden) return;
    const names = Object.keys(kSnippets);
    if (!names.includes(this.#chosen)) this.#chosen = names[0];
    const tabs = names.map((name) =>
      make(
        'button',
        {
          type: 'button',
          role: 'tab',
          id: `api-${name}`,
          'aria-selected': String(name === this.#chosen),
          'aria-controls': 'api-code',
          tabindex: name === this.#chosen ? 0 : -1,
          onclick: () => this.#choose(name),
          onkeydown: (event) => this.#key(event, names),
        },
        t(`api_${name}`),
      ),
    );
    const code = kSnippets[this.#chosen](this.#example());
    const copy = make(
      'button.icon',
      {
        type: 'button',
        id: 'copy-code',
        'aria-label': t('copy'),
        title: t('copy'),
        onclick: () => copyText(code, copy, t('copied')),
      },
      icon('copy'),
    );
    this.#box.replaceChildren(
      make('div.dialects', {role: 'tablist', 'aria-label': t('api_dialects')}, ...tabs),
      make('p.quiet', {}, t(`api_${this.#chosen}_hint`)),
      make(
        'div.code',
        {id: 'api-code', role: 'tabpanel', 'aria-labelledby': `api-${this.#chosen}`},
        make('pre', {tabindex: 0, dir: 'ltr'}, make('code', {}, code)),
        copy,
      ),
    );
  }

  #example() {
    const request = this.#request();
    return {
      ...request,
      text: request.text.trim() || t('api_sample'),
      origin: location.origin,
      withKey: setting('apiKey') !== '',
      model: this.#model() || 'pagoda',
      temperature: temperature(),
    };
  }

  #choose(name) {
    this.#chosen = name;
    save('api', name);
    this.draw();
    byId(`api-${name}`).focus();
  }

  #key(event, names) {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
    if (!step) return;
    event.preventDefault();
    this.#choose(names[(names.indexOf(this.#chosen) + step + names.length) % names.length]);
  }
}
