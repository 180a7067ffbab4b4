// Before the first paint, so that a kept choice never flashes, and neither does a private page of
// somebody who has left; everything else is the app's.
try {
  const kept = localStorage.getItem('theme');
  if (kept === 'dark' || kept === 'light') document.documentElement.dataset.theme = kept;
  if (localStorage.getItem('signingOut') !== null) document.documentElement.dataset.left = '';
} catch {
  // Storage may be forbidden; the system's choice stands.
}
