import type { Chance } from './chance.ts'
import { sentencesOf } from './corpus.ts'

/** Texts that a thief makes out of others' texts. */

/** Replaces this part of the words by words from elsewhere. */
export const edited = (text: string, part: number, words: readonly string[], random: Chance): string =>
  text
    .split(' ')
    .map((word) => (random.below(1000) < part * 1000 ? random.pick(words) : word))
    .join(' ')

const SYNONYMS = new Map([
  ['shall', 'will'],
  ['may', 'can'],
  ['software', 'program'],
  ['program', 'software'],
  ['work', 'piece'],
  ['works', 'pieces'],
  ['license', 'permission'],
  ['licence', 'permission'],
  ['rights', 'claims'],
  ['copy', 'duplicate'],
  ['copies', 'duplicates'],
  ['distribute', 'spread'],
  ['distribution', 'spreading'],
  ['modify', 'alter'],
  ['modified', 'altered'],
  ['provided', 'given'],
  ['without', 'lacking'],
  ['any', 'each'],
  ['notice', 'note'],
  ['terms', 'rules'],
  ['use', 'usage'],
  ['under', 'beneath'],
  ['include', 'contain'],
  ['source', 'origin'],
  ['means', 'denotes'],
  ['and', 'plus'],
  ['must', 'have to'],
  ['all', 'every'],
])

/** Synonyms, and clauses in another order. */
export const paraphrased = (text: string, random: Chance): string =>
  random
    .shuffled(text.split(/, /))
    .map((clause) =>
      clause
        .split(' ')
        .map((word) => SYNONYMS.get(word.toLowerCase()) ?? word)
        .join(' '),
    )
    .join(', ')

/** Rows put together from sentences of many authors. */
export const mosaics = (texts: readonly string[], count: number, random: Chance): string[] => {
  const sentences = texts.flatMap(sentencesOf)
  return Array.from({ length: count }, () => Array.from({ length: 4 }, () => random.pick(sentences)).join(' '))
}

/** First half of one text, second half of another. */
export const bridges = (texts: readonly string[], count: number, random: Chance): string[] =>
  Array.from({ length: count }, () => {
    const [a, b] = [random.pick(texts), random.pick(texts)]
    return `${a.slice(0, Math.ceil(a.length / 2))} ${b.slice(Math.floor(b.length / 2))}`
  })

export const gibberish = (length: number, random: Chance): string =>
  Array.from({ length }, () => String.fromCharCode(33 + random.below(94))).join('')

export const BOILERPLATE = [
  'THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY.',
  'Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files.',
  'Redistribution and use in source and binary forms, with or without modification, are permitted provided that the following conditions are met:',
  'You may obtain a copy of the License at the address below. Unless required by applicable law or agreed to in writing, software is distributed on an "AS IS" BASIS.',
]
