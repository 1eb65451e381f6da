// Every page in every language, on a phone and a desk, light and dark: it fits and is translated.
import { DESKTOP, expect, PHONE, run } from './browser.mjs'

const PAGES = {
  customer: { path: '/', ready: '.welcome .solid:enabled' },
  signin: { path: '/agent', ready: '.card' },
  demo: { path: '/demo', ready: '.shelf' },
  product: { path: '/demo#/product/d0000000-0000-4000-8000-000000000001', ready: '.price' },
}
const LOOKS = [
  { locale: 'zh-CN', viewport: PHONE, colorScheme: 'light', name: 'zh-CN-phone' },
  { locale: 'zh-TW', viewport: DESKTOP, colorScheme: 'light', name: 'zh-TW-desktop' },
  { locale: 'en', viewport: PHONE, colorScheme: 'dark', name: 'en-phone-dark' },
  { locale: 'en', viewport: DESKTOP, colorScheme: 'dark', name: 'en-desktop-dark' },
]

await run(async (stage) => {
  for (const [page, { path, ready }] of Object.entries(PAGES)) {
    for (const { name, ...look } of LOOKS) {
      const shown = await stage.enter(path, look)
      await shown.locator(ready).waitFor()
      await stage.shoot(shown, `${page}-${name}`)
      const { lang, overflow, text } = await shown.evaluate(() => ({
        lang: document.documentElement.lang,
        overflow: document.documentElement.scrollWidth - innerWidth,
        text: document.body.innerText,
      }))
      expect(lang === look.locale, `${page} to speak ${look.locale}, not ${lang}`)
      expect(overflow <= 0, `${page} ${name} to fit its width, not to be ${overflow} px wider`)
      const isChinese = /[\u4e00-\u9fff]/.test(text)
      expect(isChinese === look.locale.startsWith('zh'), `${page} to be wholly in ${look.locale}`)
      await shown.context().close()
    }
  }

  const shop = await stage.enter('/demo', { viewport: DESKTOP })
  await shop.getByRole('button', { name: '打开客服' }).click()
  await shop.frameLocator('iframe').getByRole('button', { name: '联系人工客服' }).waitFor()
  await stage.shoot(shop, 'demo-open-zh-CN')
  await shop.getByRole('button', { name: '关闭客服' }).click()
  expect(!(await shop.locator('iframe').isVisible()), 'the panel to close')
})
