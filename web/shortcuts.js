// The keys, and the dialog that lists them. Ctrl+Alt instead of Alt on a Mac, where Option types letters.

import {byId, icon, make} from './element.js';
import {onUiLanguage, t} from './i18n.js';

const kMac = /Mac|iPhone|iPad/.test(navigator.platform);
const kAlt = kMac ? '⌃⌥' : 'Alt ';
export const kRunKeys = kMac ? '⌘ ↵' : 'Ctrl ↵';

/**
 * @typedef {'run'|'stop'|'swap'|'copy'|'alternatives'|'glossary'|'context'|'history'|'memory'|'settings'} Action
 * @typedef {Record<Action, () => void>} Actions
 */

/** By the place of the key, so that they work on every layout. */
const kAltKeys = {
  KeyS: 'swap',
  KeyC: 'copy',
  KeyA: 'alternatives',
  KeyG: 'glossary',
  KeyX: 'context',
  KeyH: 'history',
  KeyM: 'memory',
  Comma: 'settings',
};

/** @param {Actions} actions */
export function listenToKeys(actions) {
  const dialog = byId('keys-dialog');
  const showKeys = () => dialog.open || dialog.showModal();
  byId('open-keys').addEventListener('click', showKeys);
  dialog.addEventListener('click', (event) => event.target === dialog && dialog.close());
  onUiLanguage(() => drawKeys(dialog));
  addEventListener('keydown', (event) => {
    if (document.querySelector('dialog[open]') || event.isComposing) return;
    const action = actionOf(event);
    if (action === 'keys') showKeys();
    else if (action === 'source') byId('source').focus();
    else if (action) actions[action]();
    if (action && action !== 'stop') event.preventDefault();
  });
}

function actionOf(event) {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) return 'run';
  if (event.key === 'Escape') return 'stop';
  const alt = event.altKey && !event.metaKey && !event.getModifierState('AltGraph') && event.ctrlKey === kMac;
  if (alt) return kAltKeys[event.code];
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return undefined;
  return {'?': 'keys', '/': 'source'}[event.key];
}

const isTyping = (element) => element instanceof HTMLTextAreaElement || element instanceof HTMLInputElement;

function drawKeys(dialog) {
  const rows = [
    [kRunKeys, 'translate_now'],
    ['Esc', 'stop'],
    ['/', 'skip'],
    ...Object.entries(kAltKeys).map(([code, action]) => [
      kAlt + (code === 'Comma' ? ',' : code.slice(3)),
      `key_${action}`,
    ]),
    ['?', 'keys'],
  ];
  dialog.replaceChildren(
    make(
      'div.title',
      {},
      make('h2', {id: 'keys-title'}, t('keys')),
      make(
        'button.icon',
        {type: 'button', 'aria-label': t('close'), title: t('close'), onclick: () => dialog.close()},
        icon('close'),
      ),
    ),
    make(
      'dl.keys-list',
      {},
      ...rows.flatMap(([keys, name]) => [make('dt', {}, make('kbd', {}, keys)), make('dd', {}, t(name))]),
    ),
  );
}
