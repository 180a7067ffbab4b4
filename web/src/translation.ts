/**
 * Live text in a page that the browser has translated.
 *
 * A translator takes a text out of the page and puts a `<font>` with its own words in its place. A
 * text that changes later would change where nobody sees it. So each text that was taken out is put
 * back, empty, behind its translation: when it is written to, its translation goes and the text
 * shows (and is translated anew); when it is removed, its translation goes with it.
 */
interface Translated {
  /** What stands in the text's place. */
  font: Element;
  /** What the text said; put back where the translation is taken back. */
  said: string;
}

const translated = new Map<Text, Translated>();

export function surviveTranslation(): void {
  const observer = new MutationObserver((records) => {
    for (const record of records) look(record);
    // What we did ourselves is no news.
    observer.takeRecords();
  });
  observer.observe(document.body, { subtree: true, childList: true, characterData: true });
}

function look({ type, target, addedNodes, removedNodes, previousSibling, nextSibling }: MutationRecord): void {
  if (type === 'characterData') return written(target as Text);
  for (const node of removedNodes) {
    if (!(node instanceof Text)) takenBack();
    else if (!node.isConnected) gone(node, [...addedNodes, previousSibling, nextSibling]);
  }
}

/** A text is out of the page: translated, or removed. */
function gone(text: Text, beside: (Node | null)[]): void {
  const known = translated.get(text);
  if (known) {
    known.font.remove();
    translated.delete(text);
    return;
  }
  const font = beside.find((it): it is HTMLElement => it instanceof HTMLElement && it.localName === 'font');
  if (!font?.isConnected || !text.data.trim()) return;
  translated.set(text, { font, said: text.data });
  text.data = '';
  font.after(text);
}

/** A text has changed: it shows itself. */
function written(text: Text): void {
  const known = translated.get(text);
  if (!known) return;
  known.font.remove();
  translated.delete(text);
}

/** A translation is gone: what it stood for says it itself again. */
function takenBack(): void {
  for (const [text, { font, said }] of translated) {
    if (font.isConnected) continue;
    translated.delete(text);
    if (text.isConnected) text.data = said;
  }
}
