/**
 * Three languages, one table per page.
 *
 * A text is a row `[zh-CN, zh-TW, en]`, so a missing translation is a type error. The texts avoid
 * plural forms ("3 ahead of you"), which is why there is no plural machinery here.
 */
export const LOCALES = ['zh-CN', 'zh-TW', 'en'] as const
export type Locale = (typeof LOCALES)[number]
export type Row = readonly [zhCN: string, zhTW: string, en: string]

/** The first of `wanted` that we speak; Hong Kong and Macau read traditional characters. */
export function pickLocale(wanted: readonly (string | null | undefined)[]): Locale {
  for (const tag of wanted) {
    const lower = tag?.toLowerCase() ?? ''
    if (/^zh-(tw|hk|mo|hant)/.test(lower)) return 'zh-TW'
    if (/^zh\b/.test(lower)) return 'zh-CN'
    if (/^en\b/.test(lower)) return 'en'
  }
  return 'en'
}

const query = new URLSearchParams(location.search)
export const locale = pickLocale([query.get('locale'), ...navigator.languages, navigator.language])
document.documentElement.lang = locale

/** A typed lookup into `rows`: `t('ahead', { n: 3 })` fills `{n}`. */
export function texts<Key extends string>(rows: Record<Key, Row>, into: Locale = locale) {
  const column = LOCALES.indexOf(into) as 0 | 1 | 2
  return (key: Key, values: Record<string, string | number> = {}): string =>
    rows[key][column].replace(/\{(\w+)\}/g, (hole, name: string) => String(values[name] ?? hole))
}
