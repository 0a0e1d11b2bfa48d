// What the page keeps in this browser: JSON values under one prefix of localStorage. Where the browser
// refuses storage (private windows, full disk) values live as long as the page, and nothing fails.

const kPrefix = 'pagoda.';
/** @type {Map<string, unknown>} */
const unsaved = new Map();

/**
 * @template T
 * @param {string} key
 * @param {T} fallback returned when there is nothing, or something that is not JSON
 * @returns {T}
 */
export function load(key, fallback) {
  if (unsaved.has(key)) return /** @type {T} */ (unsaved.get(key));
  try {
    const text = localStorage.getItem(kPrefix + key);
    return text === null ? fallback : JSON.parse(text);
  } catch {
    return fallback;
  }
}

/** @param {string} key @param {unknown} value */
export function save(key, value) {
  try {
    localStorage.setItem(kPrefix + key, JSON.stringify(value));
    unsaved.delete(key);
  } catch {
    unsaved.set(key, value);
  }
}
