// A waiting chat rings one agent after the other: declined by the first, taken by the second.
import { bubbles, expect, PHONE, run, say } from './browser.mjs'

await run(async (stage) => {
  const first = await stage.agent()
  const second = await stage.agent({ locale: 'en', colorScheme: 'dark', viewport: PHONE })
  const customer = await stage.enter('/', { locale: 'zh-TW' })
  await say(customer, '請問有現貨嗎')

  const offer = first.locator('.row.offered')
  await offer.getByText('分配给你').waitFor()
  await offer.getByText(/剩 \d+ 秒/).waitFor()
  expect((await second.locator('.row.offered').count()) === 0, 'the second agent to see it in the queue alone')
  await second.locator('.row .accept').waitFor()
  await stage.shoot(first, 'workbench-offer-zh-CN')
  await offer.getByRole('button', { name: '拒绝' }).click()
  await first.locator('.row').waitFor()
  expect((await first.locator('.row.offered').count()) === 0, 'the declined offer to be gone')

  const next = second.locator('.row.offered')
  await next.getByText('Offered to you').waitFor()
  await stage.shoot(second, 'workbench-offer-en-dark-phone')
  await next.locator('.accept').click()
  await bubbles(second).filter({ hasText: '請問有現貨嗎' }).waitFor()
  await first.getByText('没有人在排队').waitFor()
})
