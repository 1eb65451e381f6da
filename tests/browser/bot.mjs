// The bot answers first; a person takes over with its advice, gives the chat back, and one more
// person takes it from the bot. What the bot says is never twice on the page and never out of turn.
import { bubbles, DESKTOP, expect, PHONE, run, say, until } from './browser.mjs'

const told = (page) => page.locator('.bubble.ai:not(.growing)')
const suggestions = (page) => page.locator('.copilot .suggestion')

/** Every answer of the bot that stands twice, or grows while a person is called or in charge. */
const watch = (page) =>
  page.addInitScript(() => {
    window.wrongs = []
    const look = () => {
      const texts = [...document.querySelectorAll('.bubble.ai .text')].map((text) => text.textContent)
      const growing = document.querySelectorAll('.bubble.growing')
      if (new Set(texts).size < texts.length) window.wrongs.push(`twice: ${texts}`)
      if (growing.length && document.querySelector('.waiting')) window.wrongs.push('the bot writes while the customer waits')
    }
    addEventListener('DOMContentLoaded', () =>
      new MutationObserver(look).observe(document.body, { childList: true, subtree: true, characterData: true }),
    )
  })

await run(async (stage) => {
  const first = await stage.agent({ locale: 'zh-TW', colorScheme: 'dark', viewport: DESKTOP })
  const second = await stage.agent({ locale: 'en', viewport: DESKTOP })
  const customer = await stage.enter('/', { viewport: PHONE, prepare: watch })

  // hello, by the page itself: nothing was sent, nobody was called
  await customer.locator('.bubble.ai .badge').getByText('机器人').waitFor()
  await stage.shoot(customer, 'bot-welcome-zh-CN-phone')
  await say(customer, '你们包邮吗？')
  await told(customer).filter({ hasText: '199' }).waitFor()
  expect((await told(customer).count()) === 2, 'a greeting and one answer')
  expect(await customer.getByRole('button', { name: '转人工' }).isVisible(), 'the way to a person to be there')
  await say(customer, '请问火星上的重力加速度是多少？')
  await until(async () => (await told(customer).count()) === 3, 'the bot to own up')
  await stage.shoot(customer, 'bot-answer-zh-CN-phone')

  // in the list of the bot's chats
  await second.getByRole('tab', { name: 'Bot' }).click()
  await second.locator('.row .take').waitFor()
  await stage.shoot(second, 'workbench-bot-tab-en')

  await say(customer, '转人工')
  await customer.locator('.waiting').getByText('下一位就是您').waitFor()
  await customer.getByRole('button', { name: '继续问机器人' }).waitFor()
  await stage.shoot(customer, 'bot-waiting-zh-CN-phone')
  await first.locator('.row').getByText('提到了真人關鍵詞').waitFor()
  await first.locator('.row .accept').click()
  await bubbles(first).filter({ hasText: '199' }).waitFor()
  await first.locator('.copilot .summary').waitFor()

  // advice goes into the box, and is sent by the agent alone
  await say(customer, '那运费怎么算？')
  await suggestions(first).first().locator('.source').waitFor()
  const seen = await bubbles(customer).count()
  await first.keyboard.press('Alt+Digit1')
  const box = first.locator('.composer textarea')
  const advice = await box.inputValue()
  expect(advice.includes('199'), `the advice in the box, not "${advice}"`)
  await stage.shoot(first, 'workbench-copilot-zh-TW-dark')
  expect((await bubbles(customer).count()) === seen, 'nothing to be sent by choosing advice')
  await box.press('Enter')
  await customer.locator('.bubble.agent').filter({ hasText: advice.slice(0, 12) }).waitFor()
  await stage.shoot(customer, 'bot-person-zh-CN-phone')

  // back to the bot, which answers again
  await first.getByRole('button', { name: '交還機器人' }).click()
  await customer.getByRole('button', { name: '转人工' }).waitFor()
  const before = await told(customer).count()
  await say(customer, '怎么查询物流？')
  await until(async () => (await told(customer).count()) === before + 1, 'the bot to answer again')
  await first.getByText('還沒有進行中的對話').waitFor()

  // two reach for it: one takes it, the other is told by whom and when
  await first.getByRole('tab', { name: '機器人' }).click()
  await first.locator('.row .take').waitFor()
  const late = await first.locator('.row .take').elementHandle()
  await second.locator('.row .take').click()
  await bubbles(second).filter({ hasText: '怎么查询物流？' }).waitFor()
  await second.locator('.chip.active').waitFor()
  await stage.shoot(second, 'workbench-taken-over-en')
  await late.evaluate((button) => button.click())
  await first.locator('.n-message').filter({ hasText: /已在 \d\d:\d\d 接管/ }).waitFor()
  expect((await first.locator('.chip.active').count()) === 0, 'the chat to be of one agent alone')

  await say(second, '您好，我来继续为您服务')
  await customer.locator('.bubble.agent').filter({ hasText: '继续为您服务' }).waitFor()
  const wrongs = await customer.evaluate(() => window.wrongs)
  expect(wrongs.length === 0, `the bot to speak once and in its turn, not: ${wrongs}`)
})
