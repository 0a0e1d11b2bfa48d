// The memory picture: what of the server's memory is weights, cache and the rest, and a field of tiles for
// the blocks of the KV cache: used, cached for later, free. Asks /stats every two seconds while somebody can
// see it.

import {byId, make} from './element.js';
import {formatNumber, onUiLanguage, t} from './i18n.js';
import {fetchJson} from './http.js';

const kPollMs = 2000;
const kTiles = 192;
const kSpeeds = 60; // two minutes

export class MemoryPicture {
  #box = byId('drawer-memory');
  #timer = 0;
  #stats = null;
  #before = null;
  /** @type {number[]} tokens per second between two polls */
  #speeds = [];
  #tiles = Array.from({length: kTiles}, () => make('i'));

  constructor() {
    onUiLanguage(() => this.#draw());
    document.addEventListener('visibilitychange', () => this.#wake());
    addEventListener('hashchange', () => setTimeout(() => this.#wake())); // after the view has changed
    new MutationObserver(() => this.#wake()).observe(this.#box, {
      attributes: true,
      attributeFilter: ['hidden'],
    });
  }

  get #visible() {
    return !document.hidden && !this.#box.hidden && this.#box.offsetParent !== null;
  }

  #wake() {
    clearTimeout(this.#timer);
    if (this.#visible) this.#poll();
  }

  async #poll() {
    clearTimeout(this.#timer);
    try {
      this.#take(await fetchJson('/stats', {timeoutMs: kPollMs * 2}));
      this.#box.classList.remove('old');
    } catch {
      this.#box.classList.add('old'); // the banner says what is wrong
    }
    if (this.#visible) this.#timer = setTimeout(() => this.#poll(), kPollMs);
  }

  #take(stats) {
    const now = performance.now();
    if (this.#before && stats.generated_tokens >= this.#before.tokens)
      this.#speeds.push((stats.generated_tokens - this.#before.tokens) / ((now - this.#before.at) / 1000));
    this.#speeds = this.#speeds.slice(-kSpeeds);
    this.#before = {tokens: stats.generated_tokens, at: now};
    this.#stats = stats;
    this.#draw();
  }

  #draw() {
    const stats = this.#stats;
    if (!stats)
      return this.#box.replaceChildren(make('h2', {}, t('memory')), make('p.quiet', {}, t('memory_waiting')));
    this.#drawTiles(stats.kv);
    this.#box.replaceChildren(
      make(
        'div.title',
        {},
        make('h2', {}, t('memory')),
        make('span.quiet', {}, `${stats.model} · ${stats.device}`),
      ),
      make('div.memory-columns', {}, this.#bytes(stats), this.#blocks(stats.kv), this.#work(stats)),
    );
  }

  #bytes(stats) {
    const parts = [...stats.memory].filter((part) => part.bytes > 0).sort((a, b) => b.bytes - a.bytes);
    const total = parts.reduce((sum, part) => sum + part.bytes, 0);
    const bar = make(
      'div.bytes',
      {
        role: 'img',
        'aria-label': parts.map((part) => `${tagName(part.tag)} ${sizeText(part.bytes)}`).join(', '),
      },
      ...parts.map((part) => {
        const piece = make('i', {
          'data-tag': part.tag,
          title: `${tagName(part.tag)} ${sizeText(part.bytes)}`,
        });
        piece.style.flexGrow = String(part.bytes / total);
        return piece;
      }),
    );
    const lines = parts.map((part) => line(part.tag, tagName(part.tag), sizeText(part.bytes)));
    return make(
      'div',
      {},
      make('h3', {}, t('memory_held'), make('b', {}, sizeText(total))),
      bar,
      make('dl', {}, ...lines.flat()),
    );
  }

  #blocks(kv) {
    const share = (blocks) => {
      const percent = (100 * blocks) / Math.max(1, kv.blocks_total);
      return `${formatNumber(blocks)} · ${percentText(percent)} %`;
    };
    const field = make(
      'div.tiles',
      {
        role: 'img',
        'aria-label': t('memory_blocks_said', {
          used: kv.blocks_used,
          cached: kv.blocks_cached,
          free: kv.blocks_free,
        }),
      },
      ...this.#tiles,
    );
    return make(
      'div',
      {},
      make(
        'h3',
        {},
        t('memory_blocks'),
        make(
          'b',
          {title: t('memory_block_size', {tokens: kv.block_tokens})},
          t('memory_tokens', {tokens: formatNumber(kv.blocks_total * kv.block_tokens)}),
        ),
      ),
      field,
      make(
        'dl',
        {},
        ...line('used', t('memory_used'), share(kv.blocks_used)),
        ...line('cached', t('memory_cached'), share(kv.blocks_cached)),
        ...line('free', t('memory_free'), share(kv.blocks_free)),
      ),
    );
  }

  #drawTiles(kv) {
    const tiles = (blocks) => (blocks * kTiles) / Math.max(1, kv.blocks_total);
    // One block of thousands is still a lit tile.
    const used = Math.min(kTiles, Math.ceil(tiles(kv.blocks_used)));
    const cached = Math.min(kTiles, used + Math.ceil(tiles(kv.blocks_cached)));
    this.#tiles.forEach((tile, at) => (tile.className = at < used ? 'used' : at < cached ? 'cached' : ''));
  }

  #work(stats) {
    const hits = stats.prefix_queries_tokens
      ? (100 * stats.prefix_hits_tokens) / stats.prefix_queries_tokens
      : 0;
    const speed = this.#speeds.at(-1) ?? 0;
    const rows = [
      ['memory_running', `${formatNumber(stats.running)} + ${formatNumber(stats.waiting)}`],
      ['memory_prefix', `${formatNumber(hits)} %`],
      ['memory_preemptions', formatNumber(stats.preemptions)],
      ['memory_generated', formatNumber(stats.generated_tokens)],
      ['memory_uptime', uptimeText(stats.uptime_seconds)],
    ];
    return make(
      'div',
      {},
      make('h3', {}, t('memory_work'), make('b', {}, t('tokens_per_second', {n: formatNumber(speed)}))),
      sparkline(this.#speeds),
      make('dl', {}, ...rows.flatMap(([key, value]) => line('', t(key), value))),
    );
  }
}

function line(tag, name, value) {
  return [make('dt', tag ? {'data-tag': tag} : {}, name), make('dd', {}, value)];
}

function tagName(tag) {
  const name = t(`tag_${tag}`);
  return name === `tag_${tag}` ? tag.replaceAll('_', ' ') : name;
}

/** @param {number} bytes */
export function sizeText(bytes) {
  if (bytes < 1024 ** 2) return `${formatNumber(bytes / 1024, bytes < 10240 ? 1 : 0)} KiB`;
  if (bytes < 1024 ** 3) return `${formatNumber(bytes / 1024 ** 2, bytes < 100 * 1024 ** 2 ? 1 : 0)} MiB`;
  return `${formatNumber(bytes / 1024 ** 3, 2)} GiB`;
}

/** A little is not nothing, and nearly all is not all. @param {number} percent */
function percentText(percent) {
  if (percent > 0 && percent < 0.1) return `< ${formatNumber(0.1, 1)}`;
  if (percent > 99 && percent < 100) return formatNumber(Math.floor(percent * 10) / 10, 1);
  return formatNumber(percent, percent > 0 && percent < 1 ? 1 : 0);
}

function uptimeText(seconds) {
  const days = Math.floor(seconds / 86400),
    hours = Math.floor(seconds / 3600) % 24,
    minutes = Math.floor(seconds / 60) % 60;
  if (days) return t('uptime_days', {days, hours});
  if (!hours && !minutes) return t('uptime_seconds', {seconds: Math.floor(seconds)});
  return hours
    ? t('uptime_hours', {hours, minutes})
    : t('uptime_minutes', {minutes, seconds: Math.floor(seconds % 60)});
}

const kSvg = 'http://www.w3.org/2000/svg';

function sparkline(values) {
  const svg = document.createElementNS(kSvg, 'svg');
  svg.setAttribute('viewBox', `0 0 ${kSpeeds - 1} 30`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('aria-hidden', 'true');
  const most = Math.max(1, ...values);
  const points = values.map(
    (value, at) => `${kSpeeds - values.length + at} ${(29 - (27 * value) / most).toFixed(1)}`,
  );
  const area = document.createElementNS(kSvg, 'path');
  area.setAttribute('class', 'area');
  const stroke = document.createElementNS(kSvg, 'path');
  stroke.setAttribute('class', 'stroke');
  if (points.length) {
    area.setAttribute('d', `M${kSpeeds - values.length} 30L${points.join('L')}V30Z`);
    stroke.setAttribute('d', `M${points.join('L')}`);
  }
  svg.append(area, stroke);
  return svg;
}
