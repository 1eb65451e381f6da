// A customer on a phone and an agent at a desk, from the first word to the rating.
import { bubbles, expect, PHONE, run, say, until } from './browser.mjs'

await run(async (stage) => {
  const agent = await stage.agent()
  const customer = await stage.enter('/', { viewport: PHONE })
  await stage.shoot(customer, 'customer-welcome-zh-CN-phone')

  await customer.getByRole('button', { name: '联系人工客服' }).click()
  await customer.getByText('下一位就是您').waitFor()
  await say(customer, '你好，我的订单三天还没有发货\n订单号 A1029')
  await customer.locator('.tick.sent').waitFor()
  await stage.shoot(customer, 'customer-waiting-zh-CN-phone')

  await agent.locator('.row .accept').click()
  await bubbles(agent).filter({ hasText: '订单号 A1029' }).waitFor()
  await customer.locator('.header strong').filter({ hasNotText: '在线客服' }).waitFor()

  await say(agent, '您好，马上为您查询')
  await bubbles(customer).filter({ hasText: '马上为您查询' }).waitFor()
  await agent.locator('.tick.read').waitFor()
  await agent.locator('.composer textarea').pressSequentially('请稍等')
  await customer.locator('.typing').waitFor()
  await stage.shoot(customer, 'customer-active-zh-CN-phone')
  await stage.shoot(agent, 'workbench-active-zh-CN')
  await agent.locator('.composer textarea').press('Enter')
  await bubbles(customer).filter({ hasText: '请稍等' }).waitFor()
  await until(async () => (await customer.locator('.typing').count()) === 0, 'the dots to go when the message came')

  await customer.reload()
  await bubbles(customer).filter({ hasText: '请稍等' }).waitFor()
  expect((await bubbles(customer).count()) === 3, 'three messages after a reload, none twice')

  await agent.getByRole('button', { name: '结束' }).click()
  await agent.locator('.n-popconfirm').getByRole('button', { name: '结束' }).click()
  await customer.getByText('这次服务怎么样？').waitFor()
  await customer.locator('fieldset label').nth(3).click()
  await customer.locator('#feedback').fill('很快，谢谢')
  await stage.shoot(customer, 'customer-rating-zh-CN-phone')
  await customer.getByRole('button', { name: '提交评价' }).click()
  await customer.getByText('感谢您的评价').waitFor()

  await customer.getByRole('button', { name: '发起新会话' }).click()
  await customer.locator('.waiting').waitFor()
  expect((await bubbles(customer).count()) === 0, 'a new chat to begin empty')
})
