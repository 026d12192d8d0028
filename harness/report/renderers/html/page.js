// What the report can do beyond being read: filter, search, deep links, keys. Everything that it says is there without it.
const root = document.documentElement;
root.classList.add('js');
const find = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];

// A page that is opened as a file may have no storage.
const stored = {
  get: (key) => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null;
    }
  },
  set: (key, value) => {
    try {
      localStorage.setItem(key, value);
    } catch {
      // It is forgotten when the page is closed.
    }
  },
};

const rows = all('.result');
const search = find('#search');
const selects = ['outcome', 'level', 'role', 'suite'].map((name) => find(`#filter-${name}`));
const found = find('#found');
const texts = new Map();
const textOf = (row) => {
  const known = texts.get(row);
  if (known !== undefined) {
    return known;
  }
  const text = row.textContent.toLowerCase();
  texts.set(row, text);
  return text;
};

/** Shows what fits the filter, and writes the filter into the address, so that it can be sent to somebody. */
function filter({ keepsAddress = false } = {}) {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = selects.filter((select) => select.value !== '').map((select) => [select.name, select.value]);
  let shown = 0;
  for (const row of rows) {
    const fits =
      wanted.every(([name, value]) => row.dataset[name] === value) && words.every((word) => textOf(row).includes(word));
    row.hidden = !fits;
    if (fits) {
      shown += 1;
    }
  }
  // The overview of what to fix says what its results say.
  for (const line of all('.glance li')) {
    line.hidden = !line.dataset.ids.split(' ').some((id) => document.getElementById(id)?.hidden === false);
  }
  mark(words);
  for (const part of all('.group, .suite, section.results')) {
    part.hidden = part.querySelector('.result') !== null && part.querySelector('.result:not([hidden])') === null;
  }
  const isFiltered = wanted.length > 0 || words.length > 0;
  find('#nothing').hidden = shown > 0;
  found.textContent = isFiltered ? `${shown} of ${rows.length}` : '';
  find('#clear').hidden = !isFiltered;
  if (keepsAddress) {
    return;
  }
  const state = new URLSearchParams(wanted);
  if (search.value !== '') {
    state.set('q', search.value);
  }
  history.replaceState(null, '', isFiltered ? `#/${state}` : location.pathname + location.search);
}

/** Marks what was searched for, without a change to the page; a browser that cannot does without. */
function mark(words) {
  const highlights = globalThis.CSS?.highlights;
  if (highlights === undefined) {
    return;
  }
  highlights.delete('found');
  if (words.length === 0) {
    return;
  }
  const ranges = [];
  const walker = document.createTreeWalker(find('#main'), NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node !== null && ranges.length < 2000; node = walker.nextNode()) {
    const text = node.data.toLowerCase();
    for (const word of words) {
      for (let at = text.indexOf(word); at !== -1; at = text.indexOf(word, at + word.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + word.length);
        ranges.push(range);
      }
    }
  }
  highlights.set('found', new Highlight(...ranges));
}

/** Opens what the address names: a requirement (#TR-04), or a filter (#/outcome=failed&q=token). */
function follow() {
  const address = decodeURIComponent(location.hash.slice(1));
  if (address.startsWith('/')) {
    const state = new URLSearchParams(address.slice(1));
    search.value = state.get('q') ?? '';
    for (const select of selects) {
      select.value = state.get(select.name) ?? '';
    }
    filter({ keepsAddress: true });
    return;
  }
  const target = address === '' ? null : document.getElementById(address);
  if (target?.classList.contains('result')) {
    if (target.hidden) {
      clear();
    }
    target.open = true;
    target.scrollIntoView({ block: 'start' });
    target.querySelector('summary').focus({ preventScroll: true });
  }
}

function clear() {
  search.value = '';
  for (const select of selects) {
    select.value = '';
  }
  filter();
}

function show(theme) {
  if (theme === null) {
    delete root.dataset.theme;
  } else {
    root.dataset.theme = theme;
  }
}

function toggleTheme() {
  const isDark = root.dataset.theme
    ? root.dataset.theme === 'dark'
    : (globalThis.matchMedia?.('(prefers-color-scheme: dark)').matches ?? false);
  const theme = isDark ? 'light' : 'dark';
  show(theme);
  stored.set('theme', theme);
}

async function copy(button) {
  const text = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard for a page from a file: it is selected, so that one key copies it.
    const range = document.createRange();
    range.selectNodeContents(button.previousElementSibling);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    button.textContent = 'Selected';
    return;
  }
  button.textContent = 'Copied';
}

function step(by) {
  const visible = rows.filter((row) => !row.hidden);
  const at = visible.indexOf(document.activeElement?.closest('.result'));
  const next = visible[at === -1 ? (by > 0 ? 0 : visible.length - 1) : at + by];
  next?.querySelector('summary').focus();
  next?.scrollIntoView({ block: 'nearest' });
}

const help = find('#help');
const keysOn = find('#keys');
const KEYS = {
  '/': () => search.focus(),
  j: () => step(1),
  k: () => step(-1),
  o: () => {
    const row = document.activeElement?.closest('.result');
    if (row) {
      row.open = !row.open;
    }
  },
  f: () => {
    selects[0].value = selects[0].value === 'failed' ? '' : 'failed';
    filter();
  },
  t: toggleTheme,
  '?': () => help.showModal(),
};

addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && document.activeElement === search) {
    clear();
    search.blur();
    return;
  }
  if (!keysOn.checked || event.ctrlKey || event.metaKey || event.altKey || help.open) {
    return;
  }
  if (/^(?:INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? '')) {
    return;
  }
  const act = KEYS[event.key];
  if (act === undefined) {
    return;
  }
  event.preventDefault();
  act();
});
document.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.classList.contains('copy')) {
    void copy(button);
  }
});
let printed = [];
addEventListener('beforeprint', () => {
  printed = all('.loud .result:not([open])');
  for (const row of printed) {
    row.open = true;
  }
});
addEventListener('afterprint', () => {
  for (const row of printed) {
    row.open = false;
  }
});
search.addEventListener('input', () => filter());
for (const select of selects) {
  select.addEventListener('change', () => filter());
}
find('#clear').addEventListener('click', clear);
find('#theme').addEventListener('click', toggleTheme);
find('#show-help').addEventListener('click', () => help.showModal());
find('#expand').addEventListener('click', () => {
  const visible = rows.filter((row) => !row.hidden);
  const isOpen = visible.every((row) => row.open);
  for (const row of visible) {
    row.open = !isOpen;
  }
  find('#expand').textContent = isOpen ? 'Expand all' : 'Collapse all';
});
keysOn.checked = stored.get('keys') !== 'off';
keysOn.addEventListener('change', () => stored.set('keys', keysOn.checked ? 'on' : 'off'));
addEventListener('hashchange', follow);
show(stored.get('theme'));
follow();
