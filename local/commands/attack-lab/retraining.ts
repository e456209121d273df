import { ownParts } from '../../../functions/attribution/payout/own-part.ts'
import { chance } from './chance.ts'
import { readCorpus } from './corpus.ts'
import { dampedFisher, dataInf, type GradientScorer } from './scorers.ts'
import { SmallModel } from './small-model.ts'

/** Total variation distance (0 same, 1 disjoint) between the contributors' shares and those that retraining gives. */
interface WeightingErrors {
  /** Raw scores x fee, summed over the answers, clamped at the end: what our weighting is compared with. */
  unweighted: number
  /** The rule: scaled per answer so that positives sum to 1, x fee, summed, clamped at the end. */
  rule: number
  /** The rule without the own part of rows (decision 040). */
  withoutOwnPart: number
  /** The rule, but clamped in every answer. */
  clampedPerAnswer: number
}

export interface WeightingResult {
  answers: number
  contributors: number
  errors: { dampedFisher: WeightingErrors; datainf: WeightingErrors }
  /** Everybody the same: what a rule that knows nothing scores. */
  equalShares: number
}

/**
 * What the weighting by fee and receipt costs against retraining: each contributor's rows are left out once, the small
 * model is trained again, and its truth is what that costs the answers in loss, x fee, clamped at zero.
 */
export const measureWeighting = (seed: number, quick: boolean, corpora?: string): WeightingResult => {
  const count = quick ? 5 : 10
  const corpus = readCorpus(seed, count, count, corpora)
  const random = chance(seed + 2)
  const rows = corpus.contributors.flatMap(({ rows }, owner) => rows.map((text) => ({ text, owner })))
  const answers = corpus.contributors
    .flatMap(({ rows, unseen }) => [...rows.slice(0, 2), ...unseen])
    .map((text) => ({ text, fee: 10 ** (random.below(2001) / 1000) })) // fees differ a hundredfold
  const trained = (without?: number) => {
    const model = new SmallModel(corpus.reference, seed)
    model.train(rows.filter(({ owner }) => owner !== without).map(({ text }) => text))
    return model
  }
  const whole = trained()
  const before = answers.map(({ text }) => whole.loss(text))
  const truth = shares(
    corpus.contributors.map((_, without) => {
      const model = trained(without)
      return answers.reduce((sum, { text, fee }, a) => sum + fee * (model.loss(text) - before[a]!), 0)
    }),
  )
  const gradients = rows.map(({ text }) => whole.gradient(text))
  const own = ownParts(rows.map(({ text }) => Buffer.from(text))).map((part) => Number(part) / 2 ** 20)
  const errorsOf = (scorer: GradientScorer): WeightingErrors => {
    const scores = answers.map(({ text }) => [...scorer.score(whole.gradient(text))])
    const error = (weigh: (scores: number[], fee: number) => number[]) => {
      const sums = rows.map(() => 0)
      scores.forEach((each, a) => {
        weigh(each, answers[a]!.fee).forEach((value, row) => {
          sums[row]! += value
        })
      })
      const paid = corpus.contributors.map(() => 0)
      sums.forEach((sum, row) => {
        paid[rows[row]!.owner]! += Math.max(0, sum)
      })
      return round(distance(shares(paid), truth))
    }
    const owned = (each: number[]) => each.map((value, row) => value * own[row]!)
    return {
      unweighted: error((each, fee) => each.map((value) => value * fee)),
      rule: error((each, fee) => scaled(owned(each), fee)),
      withoutOwnPart: error(scaled),
      clampedPerAnswer: error((each, fee) => scaled(owned(each), fee).map((value) => Math.max(0, value))),
    }
  }
  return {
    answers: answers.length,
    contributors: count,
    errors: { dampedFisher: errorsOf(dampedFisher(gradients)), datainf: errorsOf(dataInf(gradients)) },
    equalShares: round(distance(shares(truth.map(() => 1)), truth)),
  }
}

/** As payout/cluster-shares.ts scales one receipt. */
const scaled = (scores: number[], fee: number): number[] => {
  const up = scores.reduce((sum, value) => sum + Math.max(0, value), 0)
  const widest = Math.max(
    up,
    scores.reduce((sum, value) => sum + Math.max(0, -value), 0),
  )
  return scores.map((value) => (value > 0 ? (fee * value) / up : value < 0 ? (fee * value) / widest : 0))
}

const shares = (values: readonly number[]): number[] => {
  const positive = values.map((value) => Math.max(0, value))
  const total = positive.reduce((a, b) => a + b, 0) || 1
  return positive.map((value) => value / total)
}
const distance = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / 2
const round = (value: number) => Math.round(value * 1000) / 1000
