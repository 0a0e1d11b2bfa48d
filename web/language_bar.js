// The bar with both languages: pickers, the recent ones beside them, swap. It holds which pair is chosen and
// tells when that changes.

import {byId, make} from './element.js';
import {onUiLanguage, t} from './i18n.js';
import {
  allLanguages,
  kAuto,
  languageName,
  recentLanguages,
  rememberLanguage,
  targetsOf,
} from './languages.js';
import {Picker} from './picker.js';
import {load, save} from './store.js';

export class LanguageBar extends EventTarget {
  from = load('from', kAuto);
  to = load('to', navigator.language.toLowerCase().startsWith('zh') ? 'en' : 'zh');
  /** What the server took the text for; '' if it has not said. */
  detected = '';

  #fromPicker = new Picker({
    side: 'from',
    labelKey: 'from_label',
    caption: (code) => this.#fromCaption(code),
    codes: () => [kAuto, ...allLanguages().map((language) => language.code)],
    onPick: (code) => this.choose('from', code),
  });
  #toPicker = new Picker({
    side: 'to',
    labelKey: 'to_label',
    caption: (code) => ({name: languageName(code)}),
    codes: () => targetsOf(this.from).map((language) => language.code),
    onPick: (code) => this.choose('to', code),
  });

  constructor() {
    super();
    onUiLanguage(() => this.draw());
  }

  /** The source language if it is known, chosen or detected; else ''. */
  get knownFrom() {
    return this.from === kAuto ? this.detected : this.from;
  }

  /** @param {'from'|'to'} side @param {string} code */
  choose(side, code) {
    const other = side === 'from' ? 'to' : 'from';
    // The language of the other side: the person wants them the other way round.
    if (code !== kAuto && code === this[other])
      this[other] = this[side] === kAuto ? this.#instead(code) : this[side];
    this[side] = code;
    if (side === 'from') this.detected = '';
    rememberLanguage(side, code);
    this.#changed();
  }

  /** @param {string} from @param {string} to */
  set(from, to) {
    this.from = from;
    this.to = to;
    this.detected = '';
    this.#changed();
  }

  /** @param {string} code */
  showDetected(code) {
    if (this.detected === code) return;
    this.detected = code;
    this.draw();
  }

  /** A translation was made with these languages: they belong to the recent ones. */
  used() {
    rememberLanguage('from', this.from);
    rememberLanguage('to', this.to);
  }

  /** Exchanges the sides. Returns false if the source language is not known yet. */
  swap() {
    const from = this.knownFrom;
    if (!from || from === this.to) return false;
    this.set(this.to, from);
    rememberLanguage('to', from);
    return true;
  }

  draw() {
    this.#fromPicker.show(this.from);
    this.#toPicker.show(this.to);
    this.#drawRecent('from', this.from);
    this.#drawRecent('to', this.to);
  }

  #fromCaption(code) {
    if (code !== kAuto) return {name: languageName(code)};
    return this.detected ? {name: languageName(this.detected), remark: t('detected')} : {name: t('detect')};
  }

  #instead(code) {
    const recent = recentLanguages('to').find((other) => other !== code);
    return recent ?? (code === 'en' ? 'zh' : 'en');
  }

  #drawRecent(side, chosen) {
    const codes = recentLanguages(side).filter(
      (code) => code !== chosen && code !== this[side === 'from' ? 'to' : 'from'],
    );
    byId(`${side}-recent`).replaceChildren(
      ...codes
        .slice(0, 3)
        .map((code) =>
          make(
            'button.plain',
            {type: 'button', 'data-code': code, onclick: () => this.choose(side, code)},
            languageName(code),
          ),
        ),
    );
  }

  #changed() {
    save('from', this.from);
    save('to', this.to);
    this.draw();
    this.dispatchEvent(new Event('change'));
  }
}
