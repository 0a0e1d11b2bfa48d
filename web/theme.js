// Sets the theme before the first paint. The one classic script of the page: modules run after the document
// is parsed, which would show a dark-mode user a white flash. settings.js changes the theme later.

(() => {
  let theme = 'auto';
  try {
    theme = JSON.parse(localStorage.getItem('pagoda.settings') || '{}').theme || 'auto';
  } catch {
    // No storage, or not ours: the theme of the system.
  }
  document.documentElement.dataset.theme = theme;
})();
