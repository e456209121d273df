export interface Stretch {
  start: number
  end: number
}

/**
 * Maximal stretches of at least `minBytes` of `output` that also stand in `prompt`. Tokens inside them earn nothing:
 * whoever quotes a row in the question must not be paid for the echo. Working on stretches, not on whole spans, keeps
 * the rule when the answer runs a byte past the quotation.
 *
 * Suffix automaton of the prompt (Blumer et al. 1985), O(prompt + output) steps; offsets are half-open bytes of `output`.
 */
export const promptEcho = (output: Uint8Array, prompt: Uint8Array, minBytes: number): Stretch[] => {
  if (output.length < minBytes || prompt.length < minBytes) return []
  const automaton = suffixAutomaton(prompt)
  const stretches: Stretch[] = []
  let state = 0
  let length = 0
  for (let end = 1; end <= output.length; end++) {
    const byte = output[end - 1]!
    while (state > 0 && automaton.next[state]!.get(byte) === undefined) {
      state = automaton.link[state]!
      length = automaton.length[state]!
    }
    const to = automaton.next[state]!.get(byte)
    if (to === undefined) continue
    state = to
    length++
    if (length < minBytes) continue
    const last = stretches.at(-1)
    if (last && last.start === end - length) last.end = end
    else stretches.push({ start: end - length, end })
  }
  return stretches
}

const suffixAutomaton = (text: Uint8Array) => {
  const next: Map<number, number>[] = [new Map()]
  const link: number[] = [-1]
  const length: number[] = [0]
  let last = 0
  for (const byte of text) {
    const added = length.push(length[last]! + 1) - 1
    next.push(new Map())
    link.push(0)
    let state = last
    while (state !== -1 && !next[state]!.has(byte)) {
      next[state]!.set(byte, added)
      state = link[state]!
    }
    if (state !== -1) {
      const target = next[state]!.get(byte)!
      if (length[state]! + 1 === length[target]!) link[added] = target
      else {
        const clone = length.push(length[state]! + 1) - 1
        next.push(new Map(next[target]!))
        link.push(link[target]!)
        while (state !== -1 && next[state]!.get(byte) === target) {
          next[state]!.set(byte, clone)
          state = link[state]!
        }
        link[target] = clone
        link[added] = clone
      }
    }
    last = added
  }
  return { next, link, length }
}
