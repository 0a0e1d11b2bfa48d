// Makes elements in one expression. Text is always text here, never markup: nothing a server or a user wrote
// can become HTML.

const kSvg = 'http://www.w3.org/2000/svg';

/**
 * @param {string} tag "button.icon.clear" makes <button class="icon clear">
 * @param {Record<string, any>} [attributes] on<event> are listeners; true is an empty attribute,
 *   false and undefined none
 * @param {...(Node|string|null|undefined|false)} children
 * @returns {HTMLElement & Record<string, any>}
 */
export function make(tag, attributes = {}, ...children) {
  const [name, ...classes] = tag.split('.');
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(' ');
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    // As properties: an API key has no business in the markup.
    else if (key === 'value' || key === 'checked') element[key] = value;
    else if (value === true) element.setAttribute(key, '');
    else if (value !== false && value !== undefined && value !== null)
      element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** @param {string} name of a symbol in index.html */
export function icon(name) {
  const svg = document.createElementNS(kSvg, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(kSvg, 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.append(use);
  return svg;
}

/** @param {string} id @returns {any} */
export const byId = (id) => document.getElementById(id);

let announcer = 0;

/** Says it to screen readers, politely. @param {string} text */
export function announce(text) {
  const region = byId('announcer');
  region.textContent = ''; // the same sentence twice is read twice
  clearTimeout(announcer);
  announcer = setTimeout(() => (region.textContent = text), 60);
}

/**
 * Copies, and shows a check mark on the button for a moment.
 * @param {string} text @param {HTMLElement} button @param {string} said what a screen reader says
 */
export async function copyText(text, button, said) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // no clipboard API outside https and localhost
  }
  const use = button.querySelector('use');
  const before = use.getAttribute('href');
  if (before !== '#i-check') {
    use.setAttribute('href', '#i-check');
    setTimeout(() => use.setAttribute('href', before), 1400);
  }
  announce(said);
}

function copyBySelection(text) {
  const focused = /** @type {HTMLElement|null} */ (document.activeElement);
  const area = make('textarea.unseen');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
  focused?.focus();
}
