/** The place in the queue and the honest band of the wait, as one sentence. Pure. */
import type { ChatState } from '../shared/protocol'
import { t } from './words'

export function waitText(chat: ChatState): string {
  const place = placeText(chat.queue_position)
  const wait = bandText(chat.estimated_wait_s)
  return wait ? t('placeAndWait', { place, wait }) : place
}

function placeText(position: number | null | undefined): string {
  if (position == null) return t('queueing')
  return position > 1 ? t('ahead', { n: position - 1 }) : t('next')
}

/** Whole minutes, outwards: nobody is promised less than the band says. */
function bandText(band: readonly [number, number] | null | undefined): string {
  if (!band) return ''
  const high = Math.ceil(band[1] / 60)
  if (high <= 1) return t('underMinute')
  const low = Math.max(1, Math.floor(band[0] / 60))
  return low >= high ? t('aboutMinutes', { n: high }) : t('minutes', { low, high })
}
