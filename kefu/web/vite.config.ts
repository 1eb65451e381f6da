// One build, three pages; each page only loads the chunks it needs.
import vue from '@vitejs/plugin-vue'
import { resolve } from 'node:path'
import { defineConfig } from 'vitest/config'

const server = process.env['KEFU_URL'] ?? 'http://127.0.0.1:8000'
const page = (path: string) => resolve(import.meta.dirname, path)

export default defineConfig({
  plugins: [vue()],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0, // no data: addresses, so that a strict content security policy holds
    chunkSizeWarningLimit: 600,
    rolldownOptions: {
      input: {
        customer: page('index.html'),
        workbench: page('agent/index.html'),
        demo: page('demo/index.html'),
      },
    },
  },
  server: {
    proxy: { '/api': server, '/ws': { target: server, ws: true } },
  },
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'] },
})
