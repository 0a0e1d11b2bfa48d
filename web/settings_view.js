// The settings dialog.

import {byId, icon, make} from './element.js';
import {onUiLanguage, t} from './i18n.js';
import {setSetting, setting} from './settings.js';

const kChoices = {
  theme: ['auto', 'light', 'dark'],
  uiLanguage: ['auto', 'en', 'zh'],
  creativity: ['default', 'steady', 'balanced', 'free'],
};

export class SettingsView {
  #dialog = byId('settings-dialog');
  #onKey;

  /** @param {() => void} onKey the API key has been changed */
  constructor(onKey) {
    this.#onKey = onKey;
    byId('open-settings').addEventListener('click', () => this.open());
    this.#dialog.addEventListener('click', (event) => event.target === this.#dialog && this.#dialog.close());
    onUiLanguage(() => this.#draw());
  }

  /** @param {string} [focus] id of the field to begin with */
  open(focus) {
    this.#draw();
    if (!this.#dialog.open) this.#dialog.showModal();
    if (focus) byId(focus).focus();
  }

  #draw() {
    const had = this.#dialog.contains(document.activeElement) ? document.activeElement.id : '';
    this.#dialog.replaceChildren(
      make(
        'div.title',
        {},
        make('h2', {id: 'settings-title'}, t('settings')),
        make(
          'button.icon',
          {type: 'button', 'aria-label': t('close'), title: t('close'), onclick: () => this.#dialog.close()},
          icon('close'),
        ),
      ),
      this.#choice('theme'),
      this.#choice('uiLanguage'),
      this.#switch('live'),
      this.#choice('creativity'),
      this.#switch('keepHistory'),
      this.#key(),
    );
    if (had) byId(had)?.focus();
  }

  #choice(name) {
    const options = kChoices[name].map((value) => {
      const input = make('input', {
        type: 'radio',
        name,
        value,
        id: `${name}-${value}`,
        checked: setting(name) === value,
        onchange: () => setSetting(name, value),
      });
      return make('label', {}, input, make('span', {}, t(`${name}_${value}`)));
    });
    return make(
      'fieldset',
      {},
      make('legend', {}, t(name)),
      make('div.segments', {}, ...options),
      hint(`${name}_hint`),
    );
  }

  #switch(name) {
    const input = make('input', {
      type: 'checkbox',
      id: name,
      checked: setting(name),
      onchange: () => setSetting(name, input.checked),
    });
    return make(
      'div.field',
      {},
      make('label.switch', {}, input, make('span', {}, t(name))),
      hint(`${name}_hint`),
    );
  }

  #key() {
    const input = make('input', {
      type: 'password',
      id: 'apiKey',
      value: setting('apiKey'),
      autocomplete: 'off',
      spellcheck: 'false',
      'aria-describedby': 'apiKey-hint',
      onchange: () => {
        setSetting('apiKey', input.value.trim());
        this.#onKey();
      },
    });
    const text = hint('apiKey_hint');
    text.id = 'apiKey-hint';
    return make(
      'form.field',
      {onsubmit: (event) => event.preventDefault()},
      make('label', {for: 'apiKey'}, t('apiKey')),
      input,
      text,
    );
  }
}

function hint(key) {
  const text = t(key);
  return text === key ? make('span', {hidden: true}) : make('p.quiet', {}, text);
}
