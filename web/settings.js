// The settings: their defaults, where they are kept, and who wants to know when one changes. How they look is
// settings_view.js.

import {load, save} from './store.js';

/**
 * @typedef {object} Settings
 * @property {string} apiKey  sent as ?token= on /ws and as Authorization: Bearer elsewhere
 * @property {'auto'|'light'|'dark'} theme
 * @property {'auto'|'en'|'zh'} uiLanguage
 * @property {boolean} live  translate while typing; else on Ctrl+Enter
 * @property {'default'|'steady'|'balanced'|'free'} creativity
 * @property {boolean} keepHistory
 * @property {boolean} useGlossary
 */

/** @type {Settings} */
const kDefaults = {
  apiKey: '',
  theme: 'auto',
  uiLanguage: 'auto',
  live: true,
  creativity: 'default',
  keepHistory: true,
  useGlossary: true,
};

/** Sampling temperature of each step; undefined leaves it to the server. */
export const kTemperatures = {default: undefined, steady: 0, balanced: 0.4, free: 0.9};

/** @type {Settings} */
const values = {...kDefaults, ...load('settings', {})};
/** @type {Set<(name: string) => void>} */
const listeners = new Set();

/**
 * @template {keyof Settings} K
 * @param {K} name
 * @returns {Settings[K]}
 */
export const setting = (name) => values[name];

/** @param {keyof Settings} name @param {any} value */
export function setSetting(name, value) {
  if (values[name] === value) return;
  values[/** @type {any} */ (name)] = value;
  save('settings', values);
  if (name === 'theme') document.documentElement.dataset.theme = value;
  for (const listener of listeners) listener(name);
}

/** @param {(name: string) => void} listener called after a setting changed */
export const onSettingChange = (listener) => listeners.add(listener);

/** @returns {number|undefined} the temperature to send */
export const temperature = () => kTemperatures[setting('creativity')];
