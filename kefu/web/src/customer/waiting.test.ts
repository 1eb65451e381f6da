import { expect, test } from 'vitest'
import { chatState } from '../shared/samples'
import { waitText } from './waiting'

const waiting = (queue_position: number | null, estimated_wait_s?: [number, number]) =>
  waitText(chatState({ status: 'waiting', queue_position, ...(estimated_wait_s && { estimated_wait_s }) }))

test('place and wait are one sentence', () => {
  expect(waiting(4, [130, 240])).toBe('3 ahead of you, about 2-4 min')
  expect(waiting(1, [10, 50])).toBe('You are next, less than a minute')
})

test('the band is rounded outwards, and one minute is no band', () => {
  expect(waiting(2, [70, 121])).toContain('1-3')
  expect(waiting(2, [125, 180])).toContain('2-3')
  expect(waiting(2, [61, 120])).toContain('1-2')
  expect(waiting(2, [120, 120])).toContain('about 2 min')
})

test('what is not known is not said', () => {
  expect(waiting(null)).toBe('Connecting you')
  expect(waiting(3)).toBe('2 ahead of you')
})
