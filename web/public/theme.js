// Before the first paint, so that a kept choice never flashes; everything else is the app's.
try {
  const kept = localStorage.getItem('theme');
  if (kept === 'dark' || kept === 'light') document.documentElement.dataset.theme = kept;
} catch {
  // Storage may be forbidden; the system's choice stands.
}
