import { chance } from './chance.ts'

const VOCABULARY = 128
const CONTEXTS = 2048
const RANK = 8
const PARAMETERS = VOCABULARY * RANK

/**
 * A language model small enough for a laboratory, with a real LoRA on it: logits of the next character are a frozen
 * table over the hash of the three characters before it, plus B A x with A fixed at random and B trained. Gradients of
 * B are those of a LoRA layer: outer products of the error and the down-projected input.
 */
export class SmallModel {
  readonly #base: Float32Array
  readonly #down: Float32Array
  readonly #up = new Float32Array(PARAMETERS)

  constructor(reference: readonly string[], seed: number) {
    const counts = new Float32Array(CONTEXTS * VOCABULARY).fill(0.05)
    for (const text of reference) each(text, (context, next) => (counts[context * VOCABULARY + next]! += 1))
    this.#base = counts.map(Math.log)
    const random = chance(seed)
    this.#down = Float32Array.from({ length: CONTEXTS * RANK }, () => random.normal() / Math.sqrt(RANK))
  }

  /** A few epochs of plain gradient descent over the rows, in the order given. */
  train(rows: readonly string[], epochs = 4, rate = 0.8): void {
    for (let epoch = 0; epoch < epochs; epoch++)
      for (const row of rows) {
        const gradient = this.gradient(row)
        for (let i = 0; i < PARAMETERS; i++) this.#up[i]! -= rate * gradient[i]!
      }
  }

  /** Gradient of the mean loss of a text with respect to B, flat. */
  gradient(text: string): Float32Array {
    const gradient = new Float32Array(PARAMETERS)
    const error = new Float32Array(VOCABULARY)
    let positions = 0
    each(text, (context, next) => {
      this.#probabilities(context, error)
      error[next]! -= 1
      positions++
      const at = context * RANK
      for (let v = 0, g = 0; v < VOCABULARY; v++) {
        const e = error[v]!
        for (let r = 0; r < RANK; r++, g++) gradient[g]! += e * this.#down[at + r]!
      }
    })
    return gradient.map((value) => value / Math.max(1, positions))
  }

  /** Mean loss of a text, nats a character. */
  loss(text: string): number {
    const probabilities = new Float32Array(VOCABULARY)
    let sum = 0
    let positions = 0
    each(text, (context, next) => {
      this.#probabilities(context, probabilities)
      sum -= Math.log(probabilities[next]!)
      positions++
    })
    return sum / Math.max(1, positions)
  }

  #probabilities(context: number, out: Float32Array): void {
    let highest = Number.NEGATIVE_INFINITY
    for (let v = 0; v < VOCABULARY; v++) {
      let logit = this.#base[context * VOCABULARY + v]!
      for (let r = 0; r < RANK; r++) logit += this.#up[v * RANK + r]! * this.#down[context * RANK + r]!
      out[v] = logit
      if (logit > highest) highest = logit
    }
    let sum = 0
    for (let v = 0; v < VOCABULARY; v++) sum += out[v] = Math.exp(out[v]! - highest)
    for (let v = 0; v < VOCABULARY; v++) out[v]! /= sum
  }
}

/** Calls with the hashed context and the next character, for every position from the fourth on. */
const each = (text: string, visit: (context: number, next: number) => void): void => {
  for (let i = 3; i < text.length; i++) {
    const hash = (text.charCodeAt(i - 1) * 31 + text.charCodeAt(i - 2)) * 131 + text.charCodeAt(i - 3)
    visit((Math.imul(hash, 2654435761) >>> 0) % CONTEXTS, text.charCodeAt(i) & 127)
  }
}
