/** Times as people read them, in the page's language and the reader's time zone. */
import { locale, texts } from './locale'

const t = texts({
  today: ['今天', '今天', 'Today'],
  yesterday: ['昨天', '昨天', 'Yesterday'],
})

const minuteFormat = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const exactFormat = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' })
const dayFormat = new Intl.DateTimeFormat(locale, { month: 'long', day: 'numeric', weekday: 'short' })

export const clockTime = (when: string) => minuteFormat.format(new Date(when))
export const exactTime = (when: string) => exactFormat.format(new Date(when))

/** A key that is equal for two moments of the same local day. */
export const dayOf = (when: string) => new Date(when).toDateString()

export function dayLabel(when: string, now: Date = new Date()): string {
  const yesterday = new Date(now)
  yesterday.setDate(now.getDate() - 1)
  if (dayOf(when) === now.toDateString()) return t('today')
  if (dayOf(when) === yesterday.toDateString()) return t('yesterday')
  return dayFormat.format(new Date(when))
}

/** `65` becomes "1:05", `3700` becomes "1:01:40". */
export function elapsed(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60]
  const two = (n: number) => String(n).padStart(2, '0')
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}
