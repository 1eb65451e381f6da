// The customer's network is cut in the middle of a chat: nothing is lost, nothing is shown twice.
import { bubbles, expect, run, say, until } from './browser.mjs'

await run(async (stage) => {
  const network = { isCut: false, sockets: new Set() }
  const cut = () => {
    network.isCut = true
    for (const socket of network.sockets) void socket.close({ code: 4008, reason: 'cut' })
    network.sockets.clear()
  }
  const prepare = (page) =>
    page.routeWebSocket(/\/ws\/chat$/, (socket) => {
      if (network.isCut) return void socket.close({ code: 4008, reason: 'cut' })
      socket.connectToServer()
      network.sockets.add(socket)
    })

  const agent = await stage.agent()
  const customer = await stage.enter('/', { prepare })
  await say(customer, 'before')
  await agent.locator('.row .accept').first().click()
  await bubbles(agent).filter({ hasText: 'before' }).waitFor()

  cut()
  await say(customer, 'while away 1')
  await say(customer, 'while away 2')
  await say(agent, 'are you there?')
  await customer.locator('.bar').waitFor()
  expect((await customer.locator('.tick.sending').count()) === 2, 'two messages waiting to be sent')
  await stage.shoot(customer, 'customer-offline-zh-CN')

  network.isCut = false
  await customer.evaluate(() => dispatchEvent(new Event('online')))
  await bubbles(customer).filter({ hasText: 'are you there?' }).waitFor()
  await until(async () => (await customer.locator('.tick.sending').count()) === 0, 'both to be sent')
  await bubbles(agent).filter({ hasText: 'while away 2' }).waitFor()
  await until(async () => (await customer.locator('.bar').count()) === 0, 'the bar to go')

  const expected = ['before', 'are you there?', 'while away 1', 'while away 2'].join()
  for (const page of [agent, customer]) {
    const seen = (await bubbles(page).allTextContents()).map((text) => text.trim())
    expect(seen.join() === expected, `everybody to see ${expected}, not ${seen}`)
  }
})
