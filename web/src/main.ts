/**
 * Starts the app, or lets it take over from a prerendered page.
 *
 * A prerendered page carries its data as an island: the app is drawn beside the static part from
 * that data and takes its place within one frame, then lives on events from the page's position.
 */
import { flushSync, mount } from 'svelte';
import type { MyPage } from './api/wire';
import App from './App.svelte';
import { startFrom } from './live.svelte';
import { startLocale } from './locale.svelte';
import { startRouter } from './router.svelte';
import { loadAhead } from './screens';
import { KEPT_AS, startSession } from './session.svelte';
import './styles/index.css';

void start();

async function start(): Promise<void> {
  const prerendered = document.getElementById('static');
  const island = islandPage();
  if (island && revived()) {
    // The browser brought a private page back after its owner had left.
    prerendered?.remove();
    location.reload();
    return;
  }
  await startLocale(island !== undefined);
  startRouter();
  loadAhead();
  if (island) startFrom(island, prerendered?.dataset.staleSince || null);
  void startSession(island !== undefined);
  takeOver(prerendered);
}

function takeOver(prerendered: HTMLElement | null): void {
  const app = document.getElementById('app');
  if (!app) throw new Error('the page has no #app');
  app.hidden = true;
  mount(App, { target: app });
  flushSync();
  app.hidden = false;
  prerendered?.remove();
}

function islandPage(): MyPage | undefined {
  const text = document.getElementById('island')?.textContent;
  return text ? (JSON.parse(text) as MyPage) : undefined;
}

function revived(): boolean {
  const [entry] = performance.getEntriesByType('navigation') as PerformanceNavigationTiming[];
  return entry?.type === 'back_forward' && localStorage.getItem(KEPT_AS) === null;
}
