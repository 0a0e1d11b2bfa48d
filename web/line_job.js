// Translates the lines of one text, several at a time, and puts them together again: as many lines out as in,
// in order, with the same line ends. Knows nothing of the page; translate() is handed in.

/**
 * @typedef {object} LineJobOptions
 * @property {(line: string) => {done: Promise<string>, cancel: () => void}} translate
 *   done rejects with {retry: boolean, message: string}; retry: the same may work later
 *   (lost connection, full queue)
 * @property {() => void} onProgress
 */

const kInFlight = 8;
const kPauseMs = 1000;

export class LineJob {
  done = 0;
  /** Lines that the server refused; they stay as they were. */
  failed = 0;
  lastError = '';

  #options;
  #eol;
  #lines;
  #next = 0;
  #cancelled = false;
  /** @type {Set<() => void>} */
  #running = new Set();

  /** @param {string} text @param {LineJobOptions} options */
  constructor(text, options) {
    this.#options = options;
    this.#eol = /\r\n/.test(text) ? '\r\n' : '\n';
    this.#lines = text.split(/\r\n|\n/);
  }

  get total() {
    return this.#lines.length;
  }

  get text() {
    return this.#lines.join(this.#eol);
  }

  /** @returns {Promise<boolean>} false if it was cancelled */
  async run() {
    await Promise.all(Array.from({length: Math.min(kInFlight, this.total)}, () => this.#work()));
    return !this.#cancelled;
  }

  cancel() {
    this.#cancelled = true;
    for (const cancel of this.#running) cancel();
  }

  async #work() {
    while (!this.#cancelled && this.#next < this.total) {
      const at = this.#next++;
      // Empty lines are not worth a request, and must stay empty.
      if (this.#lines[at].trim()) await this.#translate(at);
      if (this.#cancelled) return;
      this.done += 1;
      this.#options.onProgress();
    }
  }

  async #translate(at) {
    while (!this.#cancelled) {
      try {
        const answer = await this.#one(this.#lines[at]);
        // A line is a line, whatever the model thinks.
        this.#lines[at] = answer.replace(/\s*[\r\n]+\s*/g, ' ');
        return;
      } catch (error) {
        if (!error.retry) return this.#refused(error.message);
        await new Promise((resolve) => setTimeout(resolve, kPauseMs));
      }
    }
  }

  #refused(message) {
    this.failed += 1;
    this.lastError = message;
  }

  async #one(line) {
    const {done, cancel} = this.#options.translate(line);
    let stop;
    const stopped = new Promise(
      (_, reject) =>
        (stop = () => {
          cancel();
          reject({retry: true, message: ''});
        }),
    );
    this.#running.add(stop);
    try {
      return await Promise.race([done, stopped]);
    } finally {
      this.#running.delete(stop);
    }
  }
}
