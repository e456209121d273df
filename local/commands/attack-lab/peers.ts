import { dataInf, tfIdf } from './scorers.ts'
import { SmallModel } from './small-model.ts'
import type { Pay, World } from './world.ts'

export type PeerRule = 'datainf' | 'tfidf'

/**
 * How the published way pays: every registered row is trained on and scored (no clusters), positive scores of an answer
 * share its contributors' pool (80% of the fee). `unweighted` is the variant that sums scores over the epoch first.
 */
export const payByPeer = (
  rule: PeerRule,
  world: World,
  reference: readonly string[],
  seed: number,
  unweighted = false,
): Pay => {
  const texts = world.rows.map(({ text }) => text)
  const score = rule === 'tfidf' ? tfIdf(texts).score : gradientScorer(texts, reference, seed)
  const pay: Pay = new Map()
  const sums = new Float64Array(texts.length)
  let pool = 0
  for (const answer of world.answers) {
    const scores = score(answer.output).map((value) => Math.max(0, value))
    const total = scores.reduce((a, b) => a + b, 0) || 1
    pool += Number(answer.net) * 0.8
    scores.forEach((value, i) => {
      sums[i]! += value
      if (!unweighted) add(pay, world.rows[i]!.contributor, (Number(answer.net) * 0.8 * value) / total)
    })
  }
  if (!unweighted) return pay
  const total = sums.reduce((a, b) => a + b, 0) || 1
  sums.forEach((value, i) => {
    add(pay, world.rows[i]!.contributor, (pool * value) / total)
  })
  return pay
}

const gradientScorer = (texts: readonly string[], reference: readonly string[], seed: number) => {
  const model = new SmallModel(reference, seed)
  model.train(texts)
  const scorer = dataInf(texts.map((text) => model.gradient(text)))
  return (answer: string) => scorer.score(model.gradient(answer))
}

const add = (pay: Pay, who: string, amount: number) => pay.set(who, (pay.get(who) ?? 0) + amount)
