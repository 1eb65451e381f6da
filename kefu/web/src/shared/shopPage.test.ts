import { expect, test } from 'vitest'
import { askedIn, openerAround } from './shopPage'

const frame = {} as Window
const event = (over: object = {}) =>
  ({ origin: location.origin, source: frame, data: { type: 'kefu:open-product', id: 'tent' }, ...over }) as MessageEvent

test('the chat in the frame may ask for a product', () => expect(askedIn(event(), frame)).toBe('tent'))

test.each([
  ['another site', { origin: 'https://elsewhere.example' }],
  ['another frame', { source: {} }],
  ['another message', { data: { type: 'webpackOk', id: 'tent' } }],
  ['an id that is none', { data: { type: 'kefu:open-product', id: 4 } }],
  ['nothing', { data: null }],
])('%s is not heard', (_name, over) => expect(askedIn(event(over), frame)).toBeNull())

test('a page that stands alone has nobody to open a product', () => expect(openerAround()).toBeNull())
