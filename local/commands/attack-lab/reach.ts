import type { AttackResult } from './laboratory.ts'

export interface Reached {
  figure: string
  value: number | null
  goal: number
  unit: string
  met: boolean | null
  why?: string
}

/** The design's targets (issue 5): the worst of the attacks that a target names. */
export const reachOf = (attacks: readonly AttackResult[]): Reached[] => {
  const worst = (figure: string, goal: number, names: readonly string[], value: (one: AttackResult) => number) => {
    const found = attacks.filter(({ attack }) => names.some((name) => attack.includes(name)))
    if (found.length === 0) return { figure, value: null, goal, unit: 'ratio', met: null, why: 'not run' }
    const most = Math.max(...found.map(value))
    return { figure, value: most, goal, unit: 'ratio', met: most <= goal }
  }
  const inflation = ({ ours }: AttackResult) => ours.inflation
  return [
    worst('payout inflation: copies and identity splits', 1.05, ['copies', 'six identities'], inflation),
    worst('payout inflation: 10% and 25% edits of own rows', 1.3, ['own rows again'], inflation),
    worst(
      'wash traffic: returned / paid',
      1,
      attacks.filter(({ kind }) => kind === 'return').map(({ attack }) => attack),
      inflation,
    ),
    worst('sentence mosaic: provenance credit taken', 0, ['mosaics'], ({ ours }) => ours.provenanceTaken),
  ]
}
