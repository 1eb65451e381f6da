// Two agents reach for one customer: one gets the chat, the other is told in words.
import { expect, run, say } from './browser.mjs'

await run(async (stage) => {
  const agents = [await stage.agent(), await stage.agent()]
  const customer = await stage.enter('/', { locale: 'en' })
  await say(customer, 'Hello')
  for (const agent of agents) await agent.locator('.row .accept').waitFor()
  // both clicks are in the pages before either answer can be
  await Promise.all(agents.map((agent) => agent.evaluate(() => document.querySelector('.row .accept').click())))

  const refused = await Promise.any(
    agents.map(async (agent, index) => {
      await agent.locator('.n-message').filter({ hasText: '接管' }).waitFor()
      return index
    }),
  )
  await agents[1 - refused].locator('.chip.active').waitFor()
  expect((await agents[refused].locator('.chip.active').count()) === 0, 'the second agent not to have the chat')
  await agents[refused].getByText('没有人在排队').waitFor()
  await stage.shoot(agents[refused], 'workbench-taken-zh-CN')
})
