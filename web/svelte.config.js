import { vitePreprocess } from '@sveltejs/vite-plugin-svelte';

// Runes everywhere: one component without them would bring the old mode's runtime along.
export default { preprocess: vitePreprocess(), compilerOptions: { runes: true } };
