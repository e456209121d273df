/** Length of a gram, in UTF-16 code units of the normalised text. */
export const GRAM = 5

/** The set of a normalised text's 5-grams; a shorter text is its own only gram. */
export const gramsOf = (text: string): Set<string> => {
  const grams = new Set<string>()
  if (text.length <= GRAM) return grams.add(text)
  for (let at = 0; at + GRAM <= text.length; at++) grams.add(text.slice(at, at + GRAM))
  return grams
}

/** Jaccard similarity of two sets, |A and B| / |A or B|, as the two whole numbers, so that no rounding decides. */
export const overlap = (a: Set<string>, b: Set<string>): { both: number; either: number } => {
  const [small, large] = a.size < b.size ? [a, b] : [b, a]
  let both = 0
  for (const gram of small) if (large.has(gram)) both++
  return { both, either: a.size + b.size - both }
}

/** At least 0.8, in integers. */
export const isNear = (a: Set<string>, b: Set<string>): boolean => {
  // The smaller set cannot reach 0.8 of the union if it has less than 0.8 of the larger one.
  if (Math.min(a.size, b.size) * 10 < Math.max(a.size, b.size) * 8) return false
  const { both, either } = overlap(a, b)
  return both * 10 >= either * 8
}
