import { describe, expect, it } from 'vitest'
import { backoffMs } from './backoff'

describe('the wait before coming back', () => {
  const ceilings = Array.from({ length: 16 }, (_, attempt) => backoffMs(attempt, 1))

  it('stays short while a server may just be restarting', () => {
    expect(ceilings.slice(0, 10)).toEqual([500, 1000, ...Array<number>(8).fill(2000)])
  })

  it('grows up to fifteen seconds after that', () => {
    expect(ceilings.slice(10)).toEqual([2000, 4000, 8000, 15000, 15000, 15000])
  })

  it('is spread over the whole of it', () => {
    expect(backoffMs(3, 0)).toBe(0)
    expect(backoffMs(3, 0.5)).toBe(1000)
  })
})
