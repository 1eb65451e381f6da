// Customer and agent use nothing but the keyboard.
import { bubbles, expect, run } from './browser.mjs'

const MOST_TABS = 30

/** Tabs until the focus is on `selector`. */
async function tabTo(page, selector) {
  for (let tabs = 0; tabs < MOST_TABS; tabs++) {
    if (await page.evaluate((css) => document.activeElement?.matches(css) ?? false, selector)) return
    await page.keyboard.press('Tab')
  }
  throw new Error(`${MOST_TABS} tabs do not reach ${selector}`)
}

await run(async (stage) => {
  const customer = await stage.enter('/', { locale: 'en' })
  await customer.locator('.welcome .solid:enabled').waitFor()
  await tabTo(customer, '.welcome .solid')
  await customer.keyboard.press('Enter')
  await tabTo(customer, '.composer textarea')
  await customer.keyboard.type('Only keys')
  await customer.keyboard.press('Shift+Enter')
  await customer.keyboard.type('second line')
  await customer.keyboard.press('Enter')
  await bubbles(customer).filter({ hasText: 'second line' }).waitFor()

  const agent = await stage.agent()
  await agent.locator('.row .accept').waitFor()
  await agent.keyboard.press('Alt+KeyG')
  await bubbles(agent).filter({ hasText: 'Only keys' }).waitFor()
  await tabTo(agent, '.composer textarea')
  await agent.keyboard.type('Keys it is')
  await agent.keyboard.press('Enter')
  await bubbles(customer).filter({ hasText: 'Keys it is' }).waitFor()

  // an input method's Enter confirms its word and sends nothing
  await customer.locator('.composer textarea').evaluate((box) => {
    box.value = '拼音'
    box.dispatchEvent(new InputEvent('input', { bubbles: true }))
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }))
  })
  expect((await customer.locator('.composer textarea').inputValue()) === '拼音', 'the composed word to stay in the box')
  expect((await bubbles(customer).count()) === 2, 'nothing to be sent')
})
