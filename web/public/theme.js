// Before the first paint, so that a kept choice never flashes, and neither does a private page that was
// printed for somebody who has left, or for another than is signed in now; everything else is the app's.
try {
  const { dataset } = document.documentElement;
  const kept = localStorage.getItem('theme');
  if (kept === 'dark' || kept === 'light') dataset.theme = kept;
  const here = localStorage.getItem('signedIn');
  const another = here && dataset.owner && !here.endsWith(` ${dataset.owner}`);
  if (another || localStorage.getItem('signingOut') !== null) dataset.left = '';
} catch {
  // Storage may be forbidden; the system's choice stands.
}
