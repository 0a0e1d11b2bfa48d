// Puts the page together: makes the parts, tells them of one another, shows the view that the address names.

import {Alternatives} from './alternatives.js';
import {ApiTab} from './api_tab.js';
import {Connection} from './connection.js';
import {byId} from './element.js';
import {Files} from './files.js';
import {Glossary} from './glossary.js';
import {History} from './history.js';
import {onUiLanguage, translateMarkup} from './i18n.js';
import {LanguageBar} from './language_bar.js';
import {loadLanguages} from './languages.js';
import {MemoryPicture} from './memory.js';
import {ServerState} from './server_state.js';
import {SettingsView} from './settings_view.js';
import {kRunKeys, listenToKeys} from './shortcuts.js';
import {load, save} from './store.js';
import {TranslateView} from './translate.js';

const kViews = ['translate', 'files', 'api'];

const connection = new Connection();
const bar = new LanguageBar();
const glossary = new Glossary(bar);
const view = new TranslateView(connection, bar, extras);
const alternatives = new Alternatives(connection, view);
const history = new History();
const settings = new SettingsView(() => connection.connect());
const server = new ServerState(connection, settings);
const api = new ApiTab(
  () => view.request(),
  () => server.model,
);
new Files(connection, bar, glossary);
new MemoryPicture();

/** What goes with every translation of the panes. */
function extras() {
  const context = byId('context').value.trim();
  const terms = glossary.terms();
  return {...(context && {context}), ...(terms.length && {glossary: terms})};
}

function showView() {
  const wanted = kViews.find((name) => location.hash === `#${name}`) ?? kViews[0];
  for (const name of kViews) byId(`view-${name}`).hidden = name !== wanted;
  for (const link of document.querySelectorAll('.tabs a')) {
    if (link.dataset.view === wanted) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  document.body.dataset.view = wanted;
  api.draw();
}

/** @param {string} name */
function toggleDrawer(name, focus = true) {
  const handle = document.querySelector(`[data-drawer=${name}]`);
  const drawer = byId(`drawer-${name}`);
  drawer.hidden = !drawer.hidden;
  handle.setAttribute('aria-expanded', String(!drawer.hidden));
  save(
    'drawers',
    [...document.querySelectorAll('.drawer:not([hidden])')].map((open) => open.id.replace('drawer-', '')),
  );
  if (!drawer.hidden && focus)
    drawer.querySelector('textarea, input[type=text], input[type=search], .add')?.focus();
}

function setUpDrawers() {
  for (const handle of document.querySelectorAll('[data-drawer]'))
    handle.addEventListener('click', () => toggleDrawer(handle.dataset.drawer));
  for (const name of load('drawers', [])) if (byId(`drawer-${name}`)) toggleDrawer(name, false);
}

/** The draft outlives a reload of the tab, and nothing longer. */
function keepDraft() {
  const context = byId('context');
  const fields = {source: byId('source'), context};
  const mark = () => (byId('context-badge').hidden = !context.value.trim());
  for (const [name, field] of Object.entries(fields)) {
    try {
      field.value ||= sessionStorage.getItem(`pagoda.${name}`) ?? '';
      addEventListener('pagehide', () => sessionStorage.setItem(`pagoda.${name}`, field.value));
    } catch {
      // No storage: no draft.
    }
  }
  context.addEventListener('input', mark);
  mark();
}

async function refreshLanguages() {
  if (!connection.isOpen) return;
  await loadLanguages().catch(() => undefined); // the names of the last visit serve meanwhile
  bar.draw();
}

function swap() {
  view.swap();
}

keepDraft();
setUpDrawers();
addEventListener('hashchange', showView);
byId('swap').addEventListener('click', swap);
byId('run-keys').textContent = kRunKeys;
bar.addEventListener('change', () => api.draw());
view.addEventListener('input', () => api.draw());
view.addEventListener('done', (event) => {
  history.add(event.detail);
  bar.used();
});
history.addEventListener('take', (event) => {
  const {text, result, from, to} = event.detail;
  view.setSource(text, {translate: false});
  bar.set(from, to);
  view.showResult(result);
});
connection.addEventListener('change', refreshLanguages);
onUiLanguage(() => translateMarkup());
listenToKeys({
  run: () => view.run(),
  stop: () => view.stop(),
  swap,
  copy: () => view.copy(),
  alternatives: () => alternatives.ask(),
  glossary: () => toggleDrawer('glossary'),
  context: () => toggleDrawer('context'),
  history: () => toggleDrawer('history'),
  memory: () => toggleDrawer('memory'),
  settings: () => settings.open(),
});
showView();
connection.connect();
if (view.text.trim()) view.run(); // waits for the connection
