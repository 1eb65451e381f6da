// A real Chromium for the stories in this folder: `run(async (stage) => ...)`.
//
// The server's address and one-time sign-in links come from the environment (test_pages.py sets
// them). Every page is watched: an uncaught error or an error on its console fails the story.
import { mkdirSync } from 'node:fs'
import { createRequire } from 'node:module'

const { chromium } = createRequire(new URL('../../kefu/web/package.json', import.meta.url))('playwright-core')

const SCREENSHOTS = new URL('./screenshots/', import.meta.url).pathname
const WAIT_MS = 10_000
const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
]

export const PHONE = { width: 390, height: 844 }
export const DESKTOP = { width: 1440, height: 900 }

export async function run(story) {
  const browser = await chromium.launch({ executablePath: process.env.KEFU_CHROMIUM ?? '/usr/bin/chromium', args: ARGS })
  const stage = new Stage(browser)
  try {
    await story(stage)
    if (stage.complaints.length) throw new Error(`The pages complained:\n${stage.complaints.join('\n')}`)
  } catch (error) {
    await stage.shootAll()
    throw error
  } finally {
    await browser.close()
  }
}

class Stage {
  url = process.env.KEFU_URL
  /** The token of one customer of the shop. */
  customer = process.env.KEFU_CUSTOMER
  links = JSON.parse(process.env.KEFU_LINKS ?? '[]')
  complaints = []
  pages = []

  constructor(browser) {
    this.browser = browser
  }

  /** A person with their own storage. `options` are playwright's context options. */
  async enter(path, { locale = 'zh-CN', viewport = DESKTOP, colorScheme = 'light', prepare, ...options } = {}) {
    const context = await this.browser.newContext({ baseURL: this.url, locale, viewport, colorScheme, ...options })
    context.setDefaultTimeout(WAIT_MS)
    const page = await context.newPage()
    this.pages.push(page)
    page.on('pageerror', (error) => this.complaints.push(`${path}: ${error}`))
    page.on('console', (line) => {
      if (line.type() === 'error' && !isExpected(line.text())) this.complaints.push(`${path}: ${line.text()}`)
    })
    await prepare?.(page)
    await page.goto(path)
    return page
  }

  /** An agent at the workbench, signed in by the next one-time link. */
  async agent(options = {}) {
    const link = this.links.shift()
    if (!link) throw new Error('The story needs another one-time sign-in link.')
    const page = await this.enter(link, options)
    await page.locator('.strip .line.open').waitFor()
    return page
  }

  /** Ends when nothing on the page moves any more, so that pictures are sharp. */
  async shoot(page, name) {
    mkdirSync(SCREENSHOTS, { recursive: true })
    await page.screenshot({ path: `${SCREENSHOTS}${name}.png`, animations: 'disabled' })
  }

  async shootAll() {
    for (const [index, page] of this.pages.entries()) {
      if (!page.isClosed()) await this.shoot(page, `failed-${index}`).catch(() => {})
    }
  }
}

/** A network that is cut or a sign-in that is refused is part of a story, not a fault of the page. */
const isExpected = (text) => /WebSocket connection to|Failed to load resource/.test(text)

export function expect(isTrue, sentence) {
  if (!isTrue) throw new Error(`Expected: ${sentence}`)
}

/** Polls until `ask()` is true; for what has no element to wait for. */
export async function until(ask, sentence) {
  const deadline = Date.now() + WAIT_MS
  while (!(await ask())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain for: ${sentence}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export const bubbles = (page) => page.locator('.bubble .text')
export async function say(page, text) {
  await page.locator('.composer textarea').fill(text)
  await page.locator('.composer textarea').press('Enter')
}
