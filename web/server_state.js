// What the header and the banner say of the server: there, not there and when it is tried again, or in want
// of a key.

import {byId} from './element.js';
import {fetchJson} from './http.js';
import {onUiLanguage, t} from './i18n.js';

export class ServerState {
  /** Of /health; '' until it has been asked. */
  model = '';

  #connection;
  #settings;
  #device = '';
  #everOpen = false;
  #timer = 0;

  /**
   * @param {import('./connection.js').Connection} connection
   * @param {import('./settings_view.js').SettingsView} settings
   */
  constructor(connection, settings) {
    this.#connection = connection;
    this.#settings = settings;
    byId('banner-action').addEventListener('click', () => this.#act());
    connection.addEventListener('change', () => this.#changed());
    onUiLanguage(() => this.draw());
  }

  async #changed() {
    this.draw();
    if (!this.#connection.isOpen) return;
    this.#everOpen = true;
    const health = await fetchJson('/health').catch(() => null);
    this.model = health?.model ?? this.model;
    this.#device = health?.device ?? this.#device;
    this.draw();
  }

  #act() {
    if (this.#connection.state === 'unauthorized') this.#settings.open('apiKey');
    else this.#connection.connect();
  }

  draw() {
    clearTimeout(this.#timer);
    const {state, retryAt} = this.#connection;
    byId('server').dataset.state = state;
    byId('server').title = this.#device;
    byId('server-text').textContent = state === 'open' ? this.model : t(`server_${state}`);
    // While it tries again the banner stays: it would blink otherwise.
    const quiet = state === 'open' || (state === 'connecting' && byId('banner').hidden);
    byId('banner').hidden = quiet;
    if (quiet || state === 'connecting') return;
    const seconds = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
    const again = retryAt ? ` ${seconds ? t('trying_in', {seconds}) : t('trying')}` : '';
    this.#say(t(`banner_${state}${state === 'down' && !this.#everOpen ? '_first' : ''}`), again);
    byId('banner-action').textContent = t(state === 'unauthorized' ? 'enter_key' : 'try_now');
    if (seconds) this.#timer = setTimeout(() => this.draw(), 1000);
  }

  /** The sentence is an alert; the countdown must not be read out every second. */
  #say(sentence, countdown) {
    const box = byId('banner-text');
    if (box.firstChild?.textContent !== sentence) {
      const silent = document.createElement('span');
      silent.setAttribute('aria-hidden', 'true');
      box.replaceChildren(sentence, silent);
    }
    box.lastChild.textContent = countdown;
  }
}
