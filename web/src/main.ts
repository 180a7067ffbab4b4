/**
 * Starts the app, or lets it take over from a prerendered page.
 *
 * A prerendered page carries its data as an island: the app is drawn beside the static part from
 * that data and takes its place within one frame, then lives on events from the page's position.
 * A page that the mall refused says with which status, and the app says it in words.
 */
import { flushSync, mount } from 'svelte';
import { renewSession } from './api/http';
import type { MyPage } from './api/wire';
import App from './App.svelte';
import { reloadOnce } from './fresh';
import { loadStream } from './live.svelte';
import { startLocale } from './locale.svelte';
import { arrival, currentRoute, go, startRouter } from './router.svelte';
import { noteFailed } from './pictures';
import { load, loadAhead } from './screens';
import { isSignedIn, isSignOutUnfinished, isTheirs, startSession } from './session.svelte';
import { surviveTranslation } from './translation';
import './styles/index.css';

void start();

async function start(): Promise<void> {
  const prerendered = document.getElementById('static');
  let island = islandPage();
  if (island && isSignOutUnfinished()) {
    // Whoever left is still known to the mall, which could not be told yet.
    prerendered?.remove();
    island = undefined;
    go('/', { replace: true });
  } else if (island && isSignedIn() && !isTheirs(island.customerId)) {
    // Printed for somebody else than is here now: nothing of it is shown, whether the mall can be asked or not.
    prerendered?.remove();
    island = undefined;
  } else if (island && revived()) {
    // The browser brought a private page back after its owner had left.
    prerendered?.remove();
    location.reload();
    return;
  }
  await startLocale(island !== undefined);
  const status = pageStatus();
  startRouter(status, isSignedIn());
  if (status === 401 && isSignedIn()) void renewed();
  loadAhead();
  surviveTranslation();
  if (island) {
    // Neither is waited for longer than for the other.
    const [stream] = await Promise.all([loadStream(), load('my-page')]).catch(() => []);
    stream?.startFrom(island, prerendered?.dataset.staleSince || null);
  }
  void startSession(island?.customerId);
  takeOver(prerendered);
}

function takeOver(prerendered: HTMLElement | null): void {
  const app = document.getElementById('app');
  if (!app) throw new Error('the page has no #app');
  app.hidden = true;
  for (const image of prerendered?.querySelectorAll('img') ?? []) {
    if (image.complete && !image.naturalWidth) noteFailed(image.getAttribute('src') ?? '');
  }
  mount(App, { target: app });
  flushSync();
  app.hidden = false;
  prerendered?.remove();
}

function islandPage(): MyPage | undefined {
  const text = document.getElementById('island')?.textContent;
  return text ? (JSON.parse(text) as MyPage) : undefined;
}

/** What the page was answered with; 0 where it was not refused. */
function pageStatus(): number {
  return Number(document.querySelector<HTMLMetaElement>('meta[name="yeoul-status"]')?.content ?? 0);
}

/** A page that is none of the app's is asked for once more where the session only had to be renewed. */
async function renewed(): Promise<void> {
  if (currentRoute().screen !== 'sign-in') return;
  if (await renewSession().catch(() => false)) reloadOnce();
}

function revived(): boolean {
  return arrival() === 'back_forward' && !isSignedIn();
}
