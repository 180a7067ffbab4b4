// What is wrong with how a page is laid out, as someone who looks at it would say.

/** Every way in which a page is looked at: how wide, and how large its text. */
export const LOOKS = [320, 360, 768, 820, 1280].flatMap((width) => ['100%', '200%'].map((size) => [width, size]));

/** `look` at the page in each of {@link LOOKS}; it is as it was afterwards. */
export async function everyLook(page, look) {
  const before = page.viewportSize();
  for (const [width, size] of LOOKS) {
    await page.setViewportSize({ width, height: 900 });
    await page.evaluate((size) => {
      document.documentElement.style.fontSize = size;
      scrollTo(0, 0);
      document.querySelector('dialog')?.scrollTo(0, 0);
    }, size);
    await look(width, size);
  }
  await page.evaluate(() => (document.documentElement.style.fontSize = ''));
  await page.setViewportSize(before);
}

/**
 * The faults of the page as it is: words that are broken inside though the page is wide enough for
 * them, words that are cut off, labels out of line with their fields, things that lie over each other or
 * leave what they belong to.
 */
export const faults = (page) =>
  page.evaluate(() => {
    const found = new Set();
    const name = (it) => it.textContent?.trim().replace(/\s+/g, ' ').slice(0, 30) || it.id || it.localName;
    const modal = document.querySelector('dialog[open]');
    const root = modal ?? document.body;
    const shows = (it) => it.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !it.closest('.visually-hidden, .skip:not(:focus), noscript, [aria-hidden="true"].cards');
    // A table's head, and the bar's words, are there for readers of the screen alone where there is no room.
    const drawn = (it) => shows(it) && [...ancestors(it)].every((each) => !(getComputedStyle(each).overflow === 'hidden' && each.clientWidth <= 1));
    function* ancestors(it) {
      for (let each = it; each && each !== root; each = each.parentElement) yield each;
    }
    const content = (it) => {
      const style = getComputedStyle(it);
      return it.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    };
    const rectsOf = (node, from, to) => {
      const range = document.createRange();
      range.setStart(node, from);
      range.setEnd(node, to);
      return [...range.getClientRects()].filter((it) => it.width > 0);
    };
    const word40 = (word) => word.length > 40;
    const blockOf = (it) => it.closest('td, li, p, h1, h2, dd, dt, button, div');
    const page = document.querySelector('main');
    /** How wide a line could be at this place: an ordinary word has the whole page, a very long one what it stands in. */
    const line = (it, word) => {
      if (word40(word)) return content(blockOf(it));
      return content(modal ?? (it.closest('.bar-line') || page));
    };
    const things = [];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const node = walker.currentNode;
      const it = node.parentElement;
      if (!node.data.trim() || it.closest('script, style') || !drawn(it)) continue;
      for (const match of node.data.matchAll(/[^\s/–-]+/g)) {
        const rects = rectsOf(node, match.index, match.index + match[0].length);
        const lines = new Set(rects.map((rect) => Math.round(rect.top)));
        const width = rects.reduce((sum, rect) => sum + rect.width, 0);
        if (word40(match[0]) && content(blockOf(it)) < Math.min(8 * parseFloat(getComputedStyle(it).fontSize), 0.75 * content(modal ?? page))) found.add(`squeezed: ${match[0].slice(0, 30)} in ${blockOf(it).localName} ${blockOf(it).className}`);
        if (lines.size > 1 && width < line(it, match[0]) - 1) found.add(`broken: ${match[0].slice(0, 30)} in ${name(it)}`);
      }
      for (const rect of rectsOf(node, 0, node.data.length)) {
        const less = rect.height * 0.22;
        things.push({ it, text: true, name: node.data.trim().slice(0, 30), left: rect.left, right: rect.right, top: rect.top + less, bottom: rect.bottom - less });
        const own = it.closest('button, .button, .bar-item, .card, .told, .count');
        const box = own?.getBoundingClientRect();
        if (box && (rect.left < box.left - 1 || rect.right > box.right + 1 || rect.top + less < box.top || rect.bottom - less > box.bottom)) {
          found.add(`outside: ${name(it)} of ${name(own)}`);
        }
      }
    }
    for (const it of root.querySelectorAll('button, input, select, svg, img, .count, .picture, a.button, .ring')) {
      if (!drawn(it)) continue;
      const { left, right, top, bottom, width } = it.getBoundingClientRect();
      if (width > 0) things.push({ it, name: name(it), left, right, top, bottom });
    }
    const within = (a, b) => a.contains(b) || b.contains(a);
    // A field has room for what is drawn in it.
    const meant = (a, b) => a.closest('.search, .with-inside') && a.closest('.search, .with-inside') === b.closest('.search, .with-inside');
    things.forEach((a, index) => {
      for (const b of things.slice(index + 1)) {
        if (!(a.text && b.text) && (within(a.it, b.it) || meant(a.it, b.it))) continue;
        const [wide, high] = [Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)];
        if (wide > 1 && high > 1) found.add(`over each other: ${a.name} and ${b.name}`);
      }
    });
    const pen = document.createElement('canvas').getContext('2d');
    for (const it of root.querySelectorAll('input')) {
      if (!drawn(it) || it.type === 'radio') continue;
      const text = it.value ? (it.inputMode === 'numeric' && it.value.length <= 10 ? it.value : '') : it.placeholder;
      const style = getComputedStyle(it);
      pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
      // One that shows its icon alone has no words to be cut.
      if (text && content(it) > 4 && pen.measureText(text).width > content(it) + 1) found.add(`cut off: ${text}`);
    }
    for (const it of root.querySelectorAll('*')) {
      if (!drawn(it) || it.closest('svg, thead')) continue;
      const { left, right, width } = it.getBoundingClientRect();
      if (width > 0 && (right > innerWidth + 1 || left < -1)) found.add(`out of the page: ${name(it)}`);
      if (it.localName !== 'input' && getComputedStyle(it).overflowX === 'hidden' && it.scrollWidth > it.clientWidth + 1) found.add(`cut off: ${name(it)}`);
    }
    for (const it of root.querySelectorAll('.field > label:not(.choice), .field > legend')) {
      const out = rectsOf(it, 0, it.childNodes.length)[0].left - it.parentElement.getBoundingClientRect().left;
      if (Math.abs(out) > 0.5) found.add(`out of line by ${out} px: ${name(it)}`);
    }
    if (modal && modal.scrollWidth > modal.clientWidth) found.add('the dialog scrolls sideways');
    if (document.documentElement.scrollWidth > innerWidth) found.add('the page scrolls sideways');
    return [...found];
  });
