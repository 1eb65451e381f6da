/** Pictures of four of the demo catalogue's products, two or three SVG paths each, and one for all others. */
export interface Drawing {
  sky: string
  shapes: readonly { d: string; fill: string }[]
}

/** The ids of kefu/catalogue/demo, which never change. */
export const demoId = (number: number) => `d0000000-0000-4000-8000-${String(number).padStart(12, '0')}`

export const PARCEL: Drawing = {
  sky: 'var(--raised)',
  shapes: [
    { d: 'M0 160 70 96l44 34 52-58 74 66v62H0Z', fill: 'color-mix(in srgb, var(--muted) 14%, var(--raised))' },
    { d: 'm120 72 56 26v58l-56 26-56-26V98Z', fill: 'color-mix(in srgb, var(--muted) 38%, var(--raised))' },
    { d: 'm120 72 56 26-56 26-56-26Z', fill: 'color-mix(in srgb, var(--muted) 24%, var(--raised))' },
  ],
}

export const DRAWINGS: Readonly<Record<string, Drawing>> = {
  [demoId(1)]: {
    sky: '#d7ece7',
    shapes: [
      { d: 'M0 150 60 84l40 40 46-58 94 84v50H0Z', fill: '#a9cfc6' },
      { d: 'm120 62 76 102H44Z', fill: '#e07a3f' },
      { d: 'm120 62 24 102H96Z', fill: '#8f3f17' },
    ],
  },
  [demoId(2)]: {
    sky: '#e6e9f5',
    shapes: [
      { d: 'M98 48a22 22 0 0 1 44 0v10h-8V48a14 14 0 0 0-28 0v10h-8Z', fill: '#39436e' },
      { d: 'M78 70a24 24 0 0 1 24-16h36a24 24 0 0 1 24 16l6 84a14 14 0 0 1-14 14H86a14 14 0 0 1-14-14Z', fill: '#5a68a5' },
      { d: 'M92 112h56v36a8 8 0 0 1-8 8h-40a8 8 0 0 1-8-8Zm4-26h48v8H96Z', fill: '#39436e' },
    ],
  },
  [demoId(3)]: {
    sky: '#f3e9dc',
    shapes: [
      { d: 'M106 34h28v18h-28Z', fill: '#3b3f45' },
      { d: 'M100 54h40v10c10 6 12 12 12 22v70a12 12 0 0 1-12 12h-40a12 12 0 0 1-12-12V86c0-10 2-16 12-22Z', fill: '#9aa4ad' },
      { d: 'M88 104h64v30H88Z', fill: '#d9822b' },
    ],
  },
  [demoId(4)]: {
    sky: '#dfe6ec',
    shapes: [
      { d: 'M36 96c28-42 140-42 168 0l-10 10c-30-34-118-34-148 0Z', fill: '#c8463c' },
      { d: 'M88 84h64a12 12 0 0 1 12 12v32a16 16 0 0 1-16 16H92a16 16 0 0 1-16-16V96a12 12 0 0 1 12-12Z', fill: '#2b3138' },
      { d: 'M120 94a20 20 0 1 1 0 40 20 20 0 0 1 0-40Z', fill: '#ffe9a8' },
    ],
  },
}
