/** Splits a text at its web addresses, so that a page can make links without ever writing HTML. */
export interface Piece {
  text: string
  url: string | null
}

const ADDRESS = /\bhttps?:\/\/[^\s<>"'，。！？；、）】」]+[^\s<>"'，。！？；、）】」.,!?;:)\]]/g

export function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let end = 0
  for (const match of text.matchAll(ADDRESS)) {
    if (match.index > end) found.push({ text: text.slice(end, match.index), url: null })
    found.push({ text: match[0], url: match[0] })
    end = match.index + match[0].length
  }
  if (end < text.length || text === '') found.push({ text: text.slice(end), url: null })
  return found
}
