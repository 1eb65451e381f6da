// The weight gate: the JavaScript a customer's page loads first, gzipped, must stay under its budget.
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const BUDGET_BYTES = 60 * 1024
const dist = new URL('./dist/', import.meta.url)
const page = readFileSync(new URL('index.html', dist), 'utf8')
const scripts = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)].map((match) => match[1])
if (scripts.length === 0) throw new Error('dist/index.html loads no script: run `npm run build` first')

let total = 0
for (const script of scripts) {
  const bytes = gzipSync(readFileSync(new URL(script, dist)), { level: 9 }).length
  total += bytes
  console.log(`${(bytes / 1024).toFixed(1).padStart(7)} KB  ${script}`)
}
console.log(`${(total / 1024).toFixed(1).padStart(7)} KB  customer page, of ${BUDGET_BYTES / 1024} KB`)
if (total >= BUDGET_BYTES) {
  console.error('The customer page is over its budget.')
  process.exit(1)
}
