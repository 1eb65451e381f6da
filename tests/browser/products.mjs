// A customer looks at products in the shop and asks for a person, who sees what they looked at and
// shows one: it comes as a card with name and price, and leads back into the shop.
import { DESKTOP, expect, PHONE, run, say, until } from './browser.mjs'

const LONG_ENOUGH_MS = 4_000
const withClock = (page) => page.clock.install()
const chatIn = (shop) => shop.frameLocator('iframe')

/** The page of the tile's product is looked at and left; answers what the server was told. */
async function lookAt(shop, name) {
  await shop.locator('.shelf a').filter({ hasText: name }).click()
  await shop.locator('h1').filter({ hasText: name }).waitFor()
  await shop.clock.fastForward(LONG_ENOUGH_MS)
  return leave(shop)
}

async function leave(shop) {
  const [answered] = await Promise.all([
    shop.waitForResponse(/\/views$/),
    shop.locator('.back').click(),
  ])
  expect(answered.status() === 202, `the view to be taken, not ${answered.status()}`)
  return answered.request().postDataJSON()
}

await run(async (stage) => {
  const agent = await stage.agent()
  const panel = agent.locator('.panel .products')
  const row = (name) => panel.locator('.offerable').filter({ hasText: name })

  const shop = await stage.enter(`/demo#token=${stage.customer}`, { prepare: withClock })
  expect((await lookAt(shop, '云脊')).source === 'category', 'a tile of the shelf to be of its category')
  await lookAt(shop, '轻量背包')
  await shop.getByRole('button', { name: '打开客服' }).click()
  await chatIn(shop).getByRole('button', { name: '联系人工客服' }).click()

  // before the chat is accepted the products can be seen, not sent
  await agent.locator('.row .open').click()
  await row('轻量背包').waitFor()
  expect((await row('云脊').locator('.show').getAttribute('aria-disabled')) === 'true', 'no card to go to who was not accepted')
  await agent.locator('.row .accept').click()
  await until(async () => (await row('云脊').locator('.show').getAttribute('aria-disabled')) === 'false', 'the cards to be sendable')
  expect((await panel.locator('.offerable').first().textContent()).includes('轻量背包'), 'the last viewed to come first')
  await stage.shoot(agent, 'workbench-products-zh-CN')

  await row('轻量背包').locator('.show').focus()
  await agent.keyboard.press('Enter')
  await agent.keyboard.press('Enter')
  const card = chatIn(shop).locator('.bubble .product')
  await card.filter({ hasText: '轻量背包 38 L' }).filter({ hasText: '¥699' }).waitFor()
  await agent.locator('.bubble .product').filter({ hasText: '¥699' }).waitFor()
  await stage.shoot(shop, 'demo-card-zh-CN')
  await panel.getByRole('searchbox').fill('头灯')
  await row('头灯').locator('.show').press('Enter')
  await card.filter({ hasText: '¥189' }).waitFor()
  expect((await card.count()) === 2, 'one card each, whatever was pressed twice')

  // the card leads to the product, and that is a view, too
  await card.filter({ hasText: '头灯' }).click()
  await shop.locator('h1').filter({ hasText: '头灯' }).waitFor()
  await shop.clock.fastForward(LONG_ENOUGH_MS)
  expect((await leave(shop)).source === 'recommendation', 'a card of the chat to be a recommendation')
  await panel.getByRole('searchbox').fill('')
  await say(chatIn(shop), '这个头灯防水吗？')
  await row('头灯').waitFor()

  // the same chat in other languages, on a phone, in the dark
  const looks = [
    { locale: 'zh-TW', viewport: PHONE, price: 'CN¥189' },
    { locale: 'en', viewport: PHONE, colorScheme: 'dark', price: 'CN¥189' },
  ]
  for (const { price, ...look } of looks) {
    const page = await stage.enter(`/#token=${stage.customer}`, look)
    await page.locator('.bubble .product').filter({ hasText: price }).waitFor()
    expect((await page.locator('.bubble button.product').count()) === 0, 'cards without a shop around to open nothing')
    await stage.shoot(page, `customer-card-${look.locale}-phone`)
    await page.context().close()
  }
  await agent.setViewportSize(PHONE)
  await agent.emulateMedia({ colorScheme: 'dark' })
  await agent.locator('.details').click()
  await row('头灯').waitFor()
  await stage.shoot(agent, 'workbench-products-phone-dark')
  await row('云脊').locator('.show').click()
  await agent.locator('.bubble .product').filter({ hasText: '云脊' }).waitFor()
  await agent.locator('.back').click()

  // a guest is known by the token of their chat
  const guest = await stage.enter('/demo', { locale: 'en', viewport: DESKTOP, colorScheme: 'dark', prepare: withClock })
  await guest.locator('.launcher').click()
  await say(chatIn(guest), 'Hello')
  await chatIn(guest).locator('.waiting').waitFor()
  await guest.locator('.launcher').click()
  await lookAt(guest, '750 ml titanium flask')
  await agent.locator('.row .accept').click()
  await agent.locator('.details').click()
  await row('钛保温壶').waitFor()
})
