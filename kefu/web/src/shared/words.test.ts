import { describe, expect, test } from 'vitest'
import { elapsed } from './clock'
import { pieces } from './links'
import { pickLocale, texts } from './locale'

describe('the language', () => {
  test.each([
    [['zh-CN'], 'zh-CN'],
    [['zh'], 'zh-CN'],
    [['zh-Hant-HK'], 'zh-TW'],
    [['zh-HK', 'en'], 'zh-TW'],
    [['fr', 'en-GB'], 'en'],
    [[null, 'zh-TW'], 'zh-TW'],
    [['fr'], 'en'],
  ])('of %j is %s', (wanted, expected) => expect(pickLocale(wanted)).toBe(expected))

  test('fills what it is given and leaves other holes visible', () => {
    const t = texts({ ahead: ['前面还有 {n} 位', '', '{n} ahead, {m}'] }, 'en')
    expect(t('ahead', { n: 3 })).toBe('3 ahead, {m}')
  })
})

describe('links', () => {
  test('leave the punctuation around them alone', () => {
    expect(pieces('看 https://a.example/x?y=1。谢谢').map((piece) => piece.url)).toEqual([null, 'https://a.example/x?y=1', null])
    expect(pieces('(see https://a.example/x).')[1]?.text).toBe('https://a.example/x')
  })

  test('are only made of web addresses', () => {
    expect(pieces('javascript:alert(1) data:text/html,x').every((piece) => piece.url === null)).toBe(true)
  })

  test('lose not a character of the text', () => {
    const text = 'a https://b.example c\nhttp://d.example/ä，e'
    expect(pieces(text).map((piece) => piece.text).join('')).toBe(text)
  })
})
test('a wait is read as minutes and seconds', () => {
  expect([0, 65, 3700, -4].map(elapsed)).toEqual(['0:00', '1:05', '1:01:40', '0:00'])
})
