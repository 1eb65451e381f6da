// A chat goes from one agent to another; the customer keeps the whole of it.
import { bubbles, expect, run, say } from './browser.mjs'

await run(async (stage) => {
  const first = await stage.agent()
  const second = await stage.agent({ locale: 'zh-TW', colorScheme: 'dark' })
  const customer = await stage.enter('/', { locale: 'en', colorScheme: 'dark' })
  await say(customer, 'Hello')
  await first.locator('.row .accept').click()
  await say(first, 'One moment')
  await bubbles(customer).filter({ hasText: 'One moment' }).waitFor()

  await first.getByRole('button', { name: '转接' }).click()
  await first.locator('.n-radio').first().click()
  await stage.shoot(first, 'workbench-transfer-zh-CN')
  await first.locator('.n-modal').getByRole('button', { name: '转接' }).click()
  await second.locator('.row .open').first().click()
  await bubbles(second).filter({ hasText: 'One moment' }).waitFor()
  await say(second, 'I have it now')
  await bubbles(customer).filter({ hasText: 'I have it now' }).waitFor()
  await first.getByText('还没有进行中的会话').waitFor()
  expect((await bubbles(customer).count()) === 3, 'the customer to see three messages')
  await stage.shoot(second, 'workbench-active-zh-TW-dark')
  await stage.shoot(customer, 'customer-active-en-dark')
})
