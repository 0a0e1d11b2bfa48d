// The interface in English and Chinese. Markup names its strings: data-i18n="key" is the text of an element,
// data-i18n-attr="aria-label:key;title:key" are attributes. Code asks t('key', {name: value}).

import {onSettingChange, setting} from './settings.js';
import {kEnglish} from './strings_en.js';
import {kChinese} from './strings_zh.js';

/** @type {Set<() => void>} */
const listeners = new Set();

/** @returns {'en'|'zh'} */
export function uiLanguage() {
  const wanted = setting('uiLanguage');
  if (wanted !== 'auto') return wanted;
  return navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
}

/** @param {string} key @param {Record<string, string|number>} [values] */
export function t(key, values = {}) {
  const text = (uiLanguage() === 'zh' ? kChinese : kEnglish)[key] ?? kEnglish[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

/** @param {number} value @param {number} [digits] */
export const formatNumber = (value, digits = 0) =>
  value.toLocaleString(uiLanguage() === 'zh' ? 'zh-CN' : 'en', {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });

/** @param {ParentNode} root */
export function translateMarkup(root = document) {
  for (const element of root.querySelectorAll('[data-i18n]')) element.textContent = t(element.dataset.i18n);
  for (const element of root.querySelectorAll('[data-i18n-attr]')) {
    for (const pair of element.dataset.i18nAttr.split(';')) {
      const [attribute, key] = pair.split(':');
      element.setAttribute(attribute, t(key));
    }
  }
}

/** @param {() => void} listener called now and whenever the language of the interface changes */
export function onUiLanguage(listener) {
  listeners.add(listener);
  listener();
}

onSettingChange((name) => {
  if (name !== 'uiLanguage') return;
  document.documentElement.lang = uiLanguage() === 'zh' ? 'zh-CN' : 'en';
  for (const listener of listeners) listener();
});
document.documentElement.lang = uiLanguage() === 'zh' ? 'zh-CN' : 'en';
