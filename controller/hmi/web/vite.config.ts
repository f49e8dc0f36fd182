import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The content security policy of the server is `default-src 'self'`: nothing may be inlined as a
// data address, and no script may stand in the page.
export default defineConfig({
  plugins: [svelte()],
  base: '/',
  build: {
    outDir: '../static',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node' },
});
