// Two agents reach for one customer: one gets the chat, the other is told in words.
import { expect, run, say } from './browser.mjs'

await run(async (stage) => {
  const agents = [await stage.agent(), await stage.agent()]
  const customer = await stage.enter('/', { locale: 'en' })
  await say(customer, 'Hello')
  // held on to, so that the slower agent's click counts even if the row has just left their list
  const buttons = []
  for (const agent of agents) {
    await agent.locator('.row .accept').waitFor()
    buttons.push(await agent.locator('.row .accept').elementHandle())
  }
  await Promise.all(buttons.map((button) => button.evaluate((element) => element.click())))

  const refused = await Promise.any(
    agents.map(async (agent, index) => {
      await agent.locator('.n-message').filter({ hasText: /接管|接手/ }).waitFor()
      return index
    }),
  )
  await agents[1 - refused].locator('.chip.active').waitFor()
  expect((await agents[refused].locator('.chip.active').count()) === 0, 'the second agent not to have the chat')
  await agents[refused].getByText('没有人在排队').waitFor()
  await stage.shoot(agents[refused], 'workbench-taken-zh-CN')
})
