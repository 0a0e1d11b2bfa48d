// The languages: codes and names from the server, native names and directions from here, and how a person
// finds one by typing.

import {fetchJson} from './http.js';
import {uiLanguage} from './i18n.js';
import {load, save} from './store.js';

export const kAuto = 'auto';
const kRightToLeft = new Set(['ar', 'he', 'fa', 'ur', 'ug']);

// As src/translate/languages.cc has them. Browsers carry these names for some languages only and put English
// ones in their place without a word.
const kNative = {
  zh: '简体中文',
  en: 'English',
  fr: 'Français',
  pt: 'Português',
  es: 'Español',
  ja: '日本語',
  tr: 'Türkçe',
  ru: 'Русский',
  ar: 'العربية',
  ko: '한국어',
  th: 'ไทย',
  it: 'Italiano',
  de: 'Deutsch',
  vi: 'Tiếng Việt',
  ms: 'Bahasa Melayu',
  id: 'Bahasa Indonesia',
  tl: 'Filipino',
  hi: 'हिन्दी',
  'zh-Hant': '繁體中文',
  pl: 'Polski',
  cs: 'Čeština',
  nl: 'Nederlands',
  km: 'ខ្មែរ',
  my: 'မြန်မာ',
  fa: 'فارسی',
  gu: 'ગુજરાતી',
  ur: 'اردو',
  te: 'తెలుగు',
  mr: 'मराठी',
  he: 'עברית',
  bn: 'বাংলা',
  ta: 'தமிழ்',
  uk: 'Українська',
  bo: 'བོད་སྐད',
  kk: 'Қазақша',
  mn: 'Монгол',
  ug: 'ئۇيغۇرچە',
  yue: '粵語',
};

/** @typedef {{code: string, name: string, targets?: string[]}} Language */

/** @type {Language[]} */
let known = load('languages', []);

/** Asks the server; keeps what it said for the next start. */
export async function loadLanguages() {
  known = await fetchJson('/languages');
  save('languages', known);
}

export const allLanguages = () => known;

/** Languages that can be translated into from this one, by name. @param {string} from */
export function targetsOf(from) {
  const targets = known.find((language) => language.code === from)?.targets;
  return targets?.length ? known.filter((language) => targets.includes(language.code)) : known;
}

/** @param {string} code */
export const nativeName = (code) => kNative[code] ?? '';

/** The Chinese name as browsers have it; the code if they do not. @param {string} code */
export function nameIn(code, locale) {
  try {
    return new Intl.DisplayNames([locale], {type: 'language', languageDisplay: 'standard'}).of(code) ?? code;
  } catch {
    return code;
  }
}

/** The name in the language of the interface. @param {string} code */
export function languageName(code) {
  const english = known.find((language) => language.code === code)?.name ?? nameIn(code, 'en');
  if (uiLanguage() === 'en') return english;
  if (code === 'zh') return kNative.zh;
  const name = nameIn(code, 'zh-Hans');
  return name === code ? english : name;
}

/** @param {string} code @returns {'rtl'|'ltr'|'auto'} the direction of text in it; auto if it is not known */
export function directionOf(code) {
  if (!code || code === kAuto) return 'auto';
  return kRightToLeft.has(code) ? 'rtl' : 'ltr';
}

const folded = (text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

/** Does what was typed mean this language? By its code, or the beginning of any of its names or their words. */
export function matchesQuery(code, query) {
  const wanted = folded(query.trim());
  if (!wanted) return true;
  const english = known.find((language) => language.code === code)?.name ?? '';
  return [code, english, languageName(code), nativeName(code)]
    .map(folded)
    .some(
      (name) =>
        name.startsWith(wanted) ||
        name.includes(` ${wanted}`) ||
        (/[^\x00-\x7f]/.test(wanted) && name.includes(wanted)),
    );
}

const kRecent = 4;

/** @param {'from'|'to'} side */
export const recentLanguages = (side) =>
  load(`recent.${side}`, []).filter((code) => known.some((l) => l.code === code));

/** @param {'from'|'to'} side @param {string} code */
export function rememberLanguage(side, code) {
  if (code === kAuto) return;
  const others = load(`recent.${side}`, []).filter((other) => other !== code);
  save(`recent.${side}`, [code, ...others].slice(0, kRecent));
}
